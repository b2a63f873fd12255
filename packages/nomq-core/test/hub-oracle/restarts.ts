import type { LedgerRow } from "@nomq/core";
import { numberIn } from "./calls.ts";
import { checkRetained, checkRows } from "./checks.ts";
import type { Publish } from "./records.ts";
import { startRun, type World } from "./world.ts";

/** Kills the process; the commit that is open, if any, is in or out. */
export async function crash(world: World, last: "in" | "out"): Promise<void> {
  const { number } = world.run;
  world.run.kill();
  world.store = world.store.crash(last);
  await reopen(world, number + 1);
}

export async function restart(world: World): Promise<void> {
  world.store.heal();
  const { number } = world.run;
  let stopped = false;
  const stopping = Promise.resolve(world.run.hub[Symbol.asyncDispose]()).then(
    () => {
      stopped = true;
    },
    (cause: unknown) => {
      stopped = true;
      world.problems.push(`the hub's stop failed: ${String(cause)}`);
    },
  );
  for (let second = 0; second < 20 && !stopped; second += 1) await world.clock.advance(500);
  if (!stopped) {
    world.problems.push("the hub does not stop within 10 s");
    return;
  }
  await stopping;
  world.run.kill();
  await reopen(world, number + 1);
}

/** A peer whose change was not taken holds a value of its own until it is corrected, which a crash may prevent. */
function doubtCorrection(world: World, publish: Publish): void {
  const { receipt, channel } = publish;
  const peer = world.peers.find((one) => one.options.name === publish.from);
  if (peer === undefined || !publish.retain || !(receipt?.at === "refused" || receipt?.reason === "echo"))
    return;
  const held = peer.toy.copy.get(channel);
  if ((held === undefined ? "" : `${numberIn(held)}`) === publish.payload) peer.unsure.add(channel);
}

async function reopen(world: World, number: number): Promise<void> {
  world.model.settle();
  world.model.crash();
  for (const publish of world.publishes) {
    // An outcome that was not committed yet may come out otherwise now.
    publish.finals.clear();
    publish.isStale = true;
    doubtCorrection(world, publish);
    const isUnstored = publish.run === number - 1 && publish.receipt?.at === "accepted";
    if (publish.receipt !== undefined && !isUnstored) continue;
    publish.lost = publish.receipt === undefined;
    const peer = world.peers.find((one) => one.options.name === publish.from);
    if (publish.retain) peer?.unsure.add(publish.channel);
  }
  for (const peer of world.peers) {
    peer.toy.crash();
    peer.open.clear();
    peer.corrected.clear();
    peer.state = "away";
    peer.paused = false;
    peer.attachment = undefined;
    if (!peer.options.durable) peer.toy.copy.clear();
  }
  world.run = await startRun(world.clock, world.store, number);
  const found = new Map<string, ReadonlySet<string>>();
  for (const { name, filters, durable } of world.run.hub.attachments()) {
    if (!durable) world.problems.push(`${name} is volatile and was found after a restart`);
    found.set(name, new Set(filters));
  }
  for (const { options } of world.peers) {
    const possible = options.durable ? world.model.possible(options.name) : [undefined];
    const has = found.get(options.name);
    if (!possible.some((one) => same(one, has))) {
      world.problems.push(`after a restart ${options.name} has the filters ${has && [...has].join()}`);
    }
  }
  world.model.adopt(found);
  await checkRetained(world, "after a restart");
}

const same = (one: ReadonlySet<string> | undefined, other: ReadonlySet<string> | undefined): boolean =>
  one === other ||
  (one !== undefined &&
    other !== undefined &&
    one.size === other.size &&
    [...one].every((value) => other.has(value)));

/** What was at rest is still so in the next process: counts, state, nothing to do. */
export async function afterwards(world: World): Promise<void> {
  const rows = (): Map<string, string> =>
    new Map(
      world.run.hub
        .attachments()
        .filter((one) => one.durable)
        .map(({ name, ledger }) => [name, inWords(ledger)]),
    );
  const before = rows();
  await crash(world, "out");
  const after = rows();
  for (const [name, row] of before) {
    if (row !== after.get(name)) {
      world.problems.push(`row of ${name} was ${row}, is after a restart ${after.get(name)}`);
    }
  }
  checkRows(world);
  world.run.kill();
}

const inWords = ({ dropped, ...counts }: LedgerRow): string =>
  JSON.stringify([Object.entries(counts).sort(), Object.entries(dropped).sort()]);
