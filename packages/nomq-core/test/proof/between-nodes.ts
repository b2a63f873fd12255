import { expect } from "vitest";
import type { Endpoint, IncomingMessage, Verdict } from "../../src/index.ts";
import { createPrng, type Prng } from "../../src/testing/index.ts";
import { createWorld, type Room, read, type World } from "../node/node-room.ts";
import { drive, faultsOf, pause, seededBytes } from "./faults.ts";
import { type Lane, lastOf, runBurst, runLane, type Sent } from "./lane.ts";

/** One of two nodes that send to each other. */
export interface Side {
  readonly name: keyof typeof AT;
  readonly room: Room;
  readonly sent: Sent[];
  /** What its application has taken, in order; refused messages are not here. */
  readonly taken: Taken[];
}

/** A message at the application. */
export interface Taken {
  readonly id: string;
  readonly message: IncomingMessage;
}

/** What all runs together must have shown, lest the proof prove nothing. */
export interface Shown {
  runs: number;
  messages: number;
  retried: number;
  busy: number;
  expired: number;
  uncertain: number;
  sessions: number;
  duplicates: number;
  refusedByApplication: number;
}

export function nothingShown(): Shown {
  return {
    runs: 0,
    messages: 0,
    retried: 0,
    busy: 0,
    expired: 0,
    uncertain: 0,
    sessions: 0,
    duplicates: 0,
    refusedByApplication: 0,
  };
}

const CHANNELS = ["a/b", "line/1/temperature", "line/2/temperature"];
const AT = { one: { host: "10.1.0.1", port: 8888 }, two: { host: "10.1.0.2", port: 8888 } } as const;
/** More at once than the 50 that may be pending. */
const BURST = 90;

/** Two nodes, both sending on several channels, over a network that does what `faultsOf` says. */
export async function runBetweenNodes(seed: number, shown: Shown): Promise<void> {
  const world = createWorld(faultsOf(seed));
  const random = createPrng(seed);
  const sides = [
    await openSide(world, { name: "one", seed, random, shown }),
    await openSide(world, { name: "two", seed, random, shown }),
  ] as const;
  const [one, two] = sides;
  const work = sides.flatMap((side, at) =>
    lanesOf(world, { from: side, to: at === 0 ? AT.two : AT.one, random, seed }),
  );
  await drive(world.clock, Promise.all(work));
  // What is still under way arrives.
  await world.clock.advance(60_000);
  check(one, two, areKnown(seed));
  check(two, one, areKnown(seed));
  for (const side of sides) note(shown, side);
  shown.runs += 1;
  await world.stop();
  expect(world.clock.pending(), "timers after stop").toBe(0);
}

/** Most know each other by configuration. A stranger is held for a v1 device until its first packet has come. */
const areKnown = (seed: number): boolean => seed % 4 !== 0;

interface SideOptions {
  readonly name: keyof typeof AT;
  readonly seed: number;
  readonly random: Prng;
  readonly shown: Shown;
}

async function openSide(world: World, { name, seed, random, shown }: SideOptions): Promise<Side> {
  const taken: Taken[] = [];
  const message = async (incoming: IncomingMessage): Promise<Verdict> => {
    if (random.chance(0.2)) await pause(world.clock, random.between(0, 2500));
    if (random.chance(0.05)) {
      shown.refusedByApplication += 1;
      return { is: "refused", reason: "store-busy" };
    }
    taken.push({ id: read(incoming.payload).split(" ")[0] ?? "", message: incoming });
    return { is: "accepted" };
  };
  const other = name === "one" ? "two" : "one";
  const options = {
    channels: CHANNELS,
    random: seededBytes(name === "one" ? seed : -seed),
    transport: world.network.open(AT[name]),
    peers: areKnown(seed) ? [{ name: other, address: AT[other], kind: "node" as const }] : [],
  };
  const room = await world.node(options, { message });
  return { name, room, sent: [], taken };
}

function lanesOf(
  world: World,
  { from, to, random, seed }: { from: Side; to: Endpoint; random: Prng; seed: number },
): Promise<void>[] {
  const lane: Omit<Lane, "channel" | "count"> = {
    clock: world.clock,
    node: from.room.node,
    to,
    random,
    pauseMs: 150_000,
    name: from.name,
  };
  const lanes = CHANNELS.map((channel) => runLane({ ...lane, channel, count: 12 }, from.sent));
  if (seed % 5 !== 0) return lanes;
  return [
    ...lanes,
    runBurst({ ...lane, channel: "a/b", count: BURST, name: `${from.name}-burst` }, from.sent),
  ];
}

/** What delivery promises (docs/hub.md; contract.ts). */
function check(from: Side, to: Side, known: boolean): void {
  const arrivals = Map.groupBy(to.taken, ({ id }) => id);
  for (const sent of from.sent) {
    const copies = arrivals.get(sent.id) ?? [];
    checkCount(sent, copies.length, known);
    for (const { message } of copies) checkContent(sent, message);
  }
  const ids = new Set(from.sent.map(({ id }) => id));
  expect(
    [...arrivals.keys()].filter((id) => !ids.has(id)),
    "messages that nobody sent",
  ).toEqual([]);
  checkOrder(from, to);
}

function checkCount(sent: Sent, copies: number, known: boolean): void {
  const said = `${sent.id} at QoS ${sent.qos}: ${JSON.stringify(sent.outcomes)}, taken ${copies} times`;
  const last = lastOf(sent);
  const wasSent = sent.outcomes.some((outcome) => outcome.sent);
  if (!wasSent) expect(copies, said).toBe(0);
  if (sent.qos === 0) {
    expect(copies, said).toBeLessThanOrEqual(1);
    return;
  }
  if (last.is === "delivered") expect(copies, said).toBeGreaterThanOrEqual(1);
  // Without a time to live it must get there, however often it is lost; to a stranger QoS 2 may end in doubt.
  const isDoubtful = !known && sent.qos === 2 && last.is === "uncertain";
  if (sent.ttl === undefined && !isDoubtful) expect(last.is, said).toBe("delivered");
  if (sent.qos === 2) expect(copies, said).toBeLessThanOrEqual(1);
  // A new transfer for the same message may double it; one transfer may not.
  else expect(copies, said).toBeLessThanOrEqual(sent.outcomes.filter((outcome) => outcome.sent).length);
  if (sent.qos === 2 && last.is === "expired") expect(copies, said).toBe(0);
}

function checkContent(sent: Sent, message: IncomingMessage): void {
  const { channel, qos, retain, priority } = sent;
  expect(message).toMatchObject({ channel, qos, retain, priority });
  expect(read(message.payload)).toBe(read(sent.payload));
  expect(message.ttl).toBeLessThanOrEqual(sent.ttl ?? 3600);
  expect(message.broadcast).toBe(false);
}

/**
 * Per channel and publisher that waits for each outcome before the next publish: what was `delivered` was first taken
 * before anything published later. At QoS 0, and after any other outcome, the network's order is the order.
 */
function checkOrder(from: Side, to: Side): void {
  for (const channel of CHANNELS) {
    const inOrder = from.sent.filter((sent) => sent.channel === channel && !sent.id.includes("-burst"));
    const firstAt = (id: string): number => to.taken.findIndex((taken) => taken.id === id);
    let earliestLater = Number.POSITIVE_INFINITY;
    for (const sent of inOrder.toReversed()) {
      const at = firstAt(sent.id);
      if (at < 0) continue;
      const isPromised = sent.qos > 0 && lastOf(sent).is === "delivered";
      if (isPromised) expect(at, `${sent.id} was overtaken on its channel`).toBeLessThan(earliestLater);
      earliestLater = Math.min(earliestLater, at);
    }
  }
}

function note(shown: Shown, { sent, taken }: Side): void {
  const outcomes = sent.flatMap((one) => one.outcomes);
  shown.messages += sent.length;
  shown.retried += outcomes.filter(({ is }) => is === "unanswered").length;
  shown.busy += outcomes.filter(({ is }) => is === "refused").length;
  shown.expired += outcomes.filter(({ is }) => is === "expired").length;
  shown.uncertain += outcomes.filter(({ is }) => is === "uncertain").length;
  shown.sessions += new Set(outcomes.map(({ sessionId }) => sessionId)).size;
  shown.duplicates += taken.length - new Set(taken.map(({ id }) => id)).size;
}
