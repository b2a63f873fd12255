import type { Receipt } from "@nomq/core";
import { numberIn } from "./calls.ts";
import type { Publish } from "./records.ts";
import { CHANNELS, type Step } from "./steps.ts";
import type { World } from "./world.ts";

const encoder = new TextEncoder();

type PublishStep = Extract<Step, { do: "publish" }>;
type Sending = Pick<Publish, "channel" | "payload" | "qos" | "retain" | "ttlMs" | "from" | "once"> &
  Pick<PublishStep, "priority" | "until"> & { readonly isRepeated?: boolean };

export function publish(world: World, step: PublishStep): void {
  const peer = world.peers[step.from];
  const number = world.publishes.length;
  send(world, {
    channel: CHANNELS[step.channel] ?? "a",
    payload: step.retain && step.clear ? "" : `${number}`,
    qos: step.qos,
    retain: step.retain,
    ttlMs: step.ttlMs,
    from: peer?.state === "here" ? peer.options.name : undefined,
    // Transfers that are repeated are those that are acknowledged.
    once: step.once && step.qos > 0 ? `transfer/${number}` : undefined,
    priority: step.priority,
    until: step.until,
  });
}

/** A device sends the same transfer again, for it has seen no acknowledgement. */
export function repeat(world: World, back: number): void {
  const known = world.publishes.filter((one) => one.once !== undefined);
  const first = known.at(-1 - back);
  if (first === undefined) return;
  const peer = world.peers.find((one) => one.options.name === first.from);
  const from = peer?.state === "here" ? first.from : undefined;
  send(world, { ...first, from, priority: 0, until: "stored", isRepeated: true });
}

export function release(world: World, back: number): void {
  const known = world.publishes.filter((one) => one.once !== undefined);
  const first = known.at(-1 - back);
  if (first?.once === undefined) return;
  world.run.port.release(first.once);
  for (const one of known) if (one.once === first.once) released.add(one);
}

/** Transfers that were released: their key may name another message from then on. */
const released = new WeakSet<Publish>();

export const isReleased = (publish: Publish): boolean => released.has(publish);

/** The peer returns what it got last, as a broker does to a subscriber that publishes. */
export function echo(world: World, at: number): void {
  const peer = world.peers[at];
  const last = peer?.toy.arrivals.at(-1)?.message;
  if (peer?.state !== "here" || last === undefined || last.payload.length === 0) return;
  send(world, {
    channel: last.channel,
    payload: `${numberIn(last)}`,
    qos: 0,
    retain: last.retain,
    ttlMs: undefined,
    from: peer.options.name,
    once: undefined,
    priority: 0,
    until: "stored",
  });
}

function send(world: World, sending: Sending): void {
  const { priority, until, isRepeated: _, ...known } = sending;
  const own: Publish = {
    ...known,
    number: world.publishes.length,
    at: world.clock.monotonic(),
    stepsBefore: world.smallSteps,
    run: world.run.number,
    receipt: undefined,
    lost: false,
    compared: false,
    isStale: false,
    must: undefined,
    may: undefined,
    finals: new Map(),
    leavers: [],
    earlier: [],
  };
  if (sending.payload !== "" && sending.payload !== `${own.number}`) world.repeated.add(sending.payload);
  world.publishes.push(own);
  world.model.add({ what: "publish", publish: own, is: "pending" });
  if (sending.isRepeated !== true) setOwnCopy(world, own);
  else if (own.retain) {
    // An old transfer: what the peer holds by now stays. If its first call was lost, the hub takes the value as new.
    world.peers.find((one) => one.options.name === own.from)?.unsure.add(own.channel);
  }
  const payload = encoder.encode(own.payload);
  const { channel, qos, retain, ttlMs, from, once } = own;
  const draft = { channel, payload, qos, retain, priority, ...(ttlMs === undefined ? {} : { ttlMs }) };
  const options = {
    until,
    ...(from === undefined ? {} : { attachment: from }),
    ...(once === undefined ? {} : { once }),
  };
  const { run } = world;
  run.port.publish(draft, "anonymous", options).then(
    (receipt) => {
      if (!own.lost && run.alive) acknowledged(world, own, receipt);
    },
    (cause: unknown) => {
      if (!own.lost && run.alive) world.problems.push(`publish ${own.number} threw ${String(cause)}`);
    },
  );
}

/** A peer that sets a channel's state holds that value from then on. */
function setOwnCopy(world: World, own: Publish): void {
  const peer = world.peers.find((one) => one.options.name === own.from);
  if (peer === undefined || !own.retain) return;
  if (own.payload === "") peer.toy.copy.delete(own.channel);
  else {
    const expiry = own.ttlMs === undefined ? {} : { expiresAt: world.clock.now() + own.ttlMs };
    peer.toy.copy.set(own.channel, { payload: encoder.encode(own.payload), ...expiry });
  }
}

function acknowledged(world: World, own: Publish, receipt: Receipt): void {
  own.receipt = receipt;
  if (receipt.at === "refused" || receipt.reason === "echo") return;
  if (!world.byId.has(receipt.id)) {
    const transfer = world.publishes.find(
      (one) => one.once !== undefined && one.once === own.once && !released.has(one) && isKept(world, one),
    );
    // Released while it was open, its key ends with its commit: repetitions before and after may differ.
    const isReleased = world.publishes.some((one) => one.once === own.once && released.has(one));
    if (transfer !== undefined && transfer !== own && !isReleased) {
      world.problems.push(`transfer ${own.once} was ${transfer.receipt?.id} and is now ${receipt.id}`);
    }
    const first = firstOf(world, own, receipt.id);
    world.byId.set(receipt.id, first);
    allowForEarlier(world, first);
  }
}

/** The call that began the transfer in this process: a repetition may be answered before it. */
function firstOf(world: World, own: Publish, id: string): Publish {
  if (own.once === undefined) return own;
  const first = world.publishes.find(
    (one) =>
      one.once === own.once && one.run === own.run && (one.receipt === undefined || one.receipt.id === id),
  );
  return first ?? own;
}

/** The first call of a repeated transfer may have been stored before the crash that took its answer. */
function allowForEarlier(world: World, own: Publish): void {
  if (own.once === undefined) return;
  for (const earlier of world.publishes) {
    if (earlier === own) return;
    if (earlier.once === own.once && earlier.lost) own.earlier.push(earlier);
  }
}

/** Its key holds: acknowledged as stored, or in this process where there was nothing to store. */
const isKept = (world: World, one: Publish): boolean => {
  const { receipt } = one;
  if (receipt === undefined || receipt.at === "refused" || receipt.reason === "echo") return false;
  if (one.ttlMs === 0 && !one.retain) return one.run === world.run.number;
  return receipt.at !== "accepted";
};
