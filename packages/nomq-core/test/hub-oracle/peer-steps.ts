import { naiveMatch } from "./naive-match.ts";
import type { Operation } from "./records.ts";
import { CHANNELS } from "./steps.ts";
import type { World, WorldPeer } from "./world.ts";

/** Follows a call that changes interest and tells the model how it ended. */
function follow(world: World, operation: Operation, work: PromiseLike<unknown>, ended: () => void): void {
  const { run } = world;
  const isEnd = operation.what === "leave" || operation.what === "forget";
  if (isEnd) world.model.leave(operation.name);
  else world.model.add(operation);
  Promise.resolve(work).then(
    () => {
      if (!run.alive) return;
      operation.is = "done";
      if (isEnd) world.model.add(operation);
      ended();
    },
    () => {
      if (!run.alive) return;
      operation.is = "failed";
      if (isEnd) world.model.add(operation);
      ended();
    },
  );
}

/** Attaches a peer that is away, with these filters or, if it has stored ones, without any. */
export function attach(world: World, at: number, filters: readonly string[] | undefined): void {
  const peer = world.peers[at];
  if (peer === undefined || peer.state !== "away") return;
  const { name, durable } = peer.options;
  const wanted = filters ?? (durable ? undefined : ["a/#"]);
  if (!durable) peer.toy.copy.clear();
  peer.state = "joining";
  peer.live.clear();
  peer.paused = false;
  const description = { ...peer.toy.connect(), ...(wanted === undefined ? {} : { filters: wanted }) };
  forgetUnmatched(world, peer, wanted);
  const operation: Operation = {
    what: "attach",
    name,
    durable,
    ...(wanted === undefined ? {} : { filters: wanted }),
    is: "pending",
  };
  const work = world.run.port.attach(description);
  const { run } = world;
  const joined = work.then((attachment) => {
    if (run.alive) peer.attachment = attachment;
  });
  follow(world, operation, joined, () => {
    peer.state = operation.is === "done" ? "here" : "away";
  });
}

/** A subscriber drops what it held under filters that it does not want any more. */
function forgetUnmatched(world: World, peer: WorldPeer, wanted: readonly string[] | undefined): void {
  const stored = world.model.interest.get(peer.options.name)?.filters ?? [];
  const filters = wanted ?? [...stored];
  for (const channel of CHANNELS) {
    const before = [...stored].some((filter) => naiveMatch(filter, channel));
    if (before && filters.some((filter) => naiveMatch(filter, channel))) continue;
    peer.toy.copy.delete(channel);
  }
}

export function detach(world: World, at: number): void {
  const peer = world.peers[at];
  if (peer?.attachment === undefined || peer.state !== "here") return;
  peer.state = "leaving";
  const { attachment } = peer;
  const work = attachment[Symbol.asyncDispose]();
  if (peer.options.durable) {
    // Its interest outlives its attachment.
    const { run } = world;
    void Promise.resolve(work).then(() => {
      if (run.alive) gone(peer);
    });
    return;
  }
  const operation: Operation = { what: "leave", name: peer.options.name, is: "pending" };
  follow(world, operation, work, () => gone(peer));
}

function gone(peer: WorldPeer): void {
  peer.state = "away";
  peer.attachment = undefined;
  peer.paused = false;
  peer.open.clear();
}

export function forget(world: World, at: number): void {
  const peer = world.peers[at];
  if (peer === undefined || peer.state === "joining" || peer.state === "leaving") return;
  if (!world.model.interest.has(peer.options.name)) return;
  peer.state = "leaving";
  const operation: Operation = { what: "forget", name: peer.options.name, is: "pending" };
  follow(world, operation, world.run.hub.forget(peer.options.name), () => {
    gone(peer);
    peer.toy.copy.clear();
  });
}

/** The connection of an ordered peer breaks: pause, every open call is to be repeated, a moment apart, go on. */
export async function cut(world: World, at: number): Promise<void> {
  const peer = world.peers[at];
  if (peer?.options.ordered !== true || peer.state !== "here" || peer.paused) return;
  const { attachment } = peer;
  attachment?.pause("connection lost");
  peer.paused = true;
  const [first, ...others] = peer.open;
  first?.fail("connection lost");
  await world.settle(1);
  for (const call of others) call.fail("connection lost");
  peer.paused = false;
  attachment?.resume();
}

export function pause(world: World, at: number): void {
  const peer = world.peers[at];
  if (peer?.state !== "here") return;
  peer.attachment?.pause("told to");
  peer.paused = true;
}

export function resume(world: World, at: number): void {
  const peer = world.peers[at];
  if (peer?.state !== "here" || !peer.paused) return;
  peer.paused = false;
  peer.attachment?.resume();
}

export function repair(world: World, at: number, filter: string | undefined): void {
  const peer = world.peers[at];
  if (peer?.state !== "here") return;
  peer.attachment?.repair(filter === undefined ? undefined : [filter]);
}

/** Asks for one filter and gives up another. */
export function change(
  world: World,
  at: number,
  how: { readonly add: string; readonly remove: string },
): void {
  const peer = world.peers[at];
  const own = peer === undefined ? undefined : world.model.interest.get(peer.options.name);
  if (
    peer?.attachment === undefined ||
    peer.state !== "here" ||
    own === undefined ||
    how.add === how.remove
  ) {
    return;
  }
  const next = new Set(own.filters);
  next.delete(how.remove);
  forgetUnmatched(world, peer, [...next.add(how.add)]);
  const operation: Operation = { what: "change", name: peer.options.name, ...how, is: "pending" };
  const work = peer.attachment.change({ add: [how.add], remove: [how.remove] });
  // What waited under an overlapping filter goes before the burst of the new one: there the order tells nothing.
  for (const channel of CHANNELS) if (naiveMatch(how.add, channel)) peer.live.set(channel, -1);
  follow(world, operation, work, () => undefined);
}
