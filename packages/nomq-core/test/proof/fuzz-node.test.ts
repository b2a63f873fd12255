import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import type { Endpoint, Transport } from "../../src/index.ts";
import { settle } from "../../src/testing/index.ts";
import { createWorld, type Room, text, until, type World } from "../node/node-room.ts";
import { forEachSeed, seededBytes, seedsOf } from "./faults.ts";
import { countsOf, createRange, expectAlso, nothingExpected, type Range, totalOf } from "./fuzz/range.ts";
import type { Shot } from "./fuzz/shots.ts";

const isLong = process.env["NOMQ_LONG"] !== undefined;
const seeds = seedsOf(1, 10);
/** At one node; each seed has another. */
const SHOTS = isLong ? 1_000_000 : 20_000;
/** NOMQ_EACH=1 looks after every shot, to find the one that was counted otherwise. */
const BATCH = process.env["NOMQ_EACH"] === undefined ? 1000 : 1;
const NODE = { host: "10.2.0.1", port: 8888 };
const HEALTHY = { host: "10.2.0.2", port: 8888 };
const FROMS: readonly Endpoint[] = Array.from({ length: 48 }, (_, at) => ({
  host: `10.3.0.${at + 1}`,
  port: 9000,
}));
/** How a node is shot at. */
interface Fire {
  readonly shots: number;
  /** Transfers it remembers. */
  readonly transfers: number;
  /** Its clock moves on so much with every 1,000 shots. */
  readonly ms: number;
}
/** Nobody here is configured: an eighth is kept for those who are. */
const roomFor = ({ transfers }: Fire): number => transfers - Math.floor(transfers / 8);

const FIRE: Fire = { shots: SHOTS, transfers: 65_536, ms: 500 };
/** Its table fills with the first half of the shots. */
const SMALL_TABLE: Fire = { shots: isLong ? 100_000 : 40_000, transfers: 512, ms: 5000 };
const MOST_GROWTH = 256 * 1024 * 1024;

/** A node that is shot at past the network, and a healthy one that goes over it. */
interface Scene {
  readonly world: World;
  readonly room: Room;
  readonly healthy: Room;
  readonly range: Range;
  readonly fire: Fire;
  readonly handed: () => number;
  shoot(shot: Shot): void;
}

async function openScene(seed: number, fire: Fire): Promise<Scene> {
  const world = createWorld();
  const base = world.network.open(NODE);
  let receive: Parameters<Transport["onDatagram"]>[0] | undefined;
  const transport: Transport = {
    ...base,
    onDatagram(receiver) {
      receive = receiver;
      base.onDatagram(receiver);
    },
  };
  const handed = { count: 0 };
  const room = await world.node(
    {
      transport,
      random: seededBytes(seed),
      limits: { channels: 1, transfers: fire.transfers, sessions: 1000 },
    },
    {
      async message() {
        handed.count += 1;
        return { is: "accepted" };
      },
      remember: async () => undefined,
    },
  );
  const peers = [{ name: "node", address: NODE, kind: "node" as const }];
  const healthy = await world.node({
    transport: world.network.open(HEALTHY),
    peers,
    random: seededBytes(-seed),
  });
  const seconds = (): number => Math.floor(world.clock.now() / 1000);
  const target = { ownSession: () => room.node.sessionId, seconds };
  const range = createRange(target, { seed, froms: FROMS });
  return {
    world,
    room,
    healthy,
    range,
    fire,
    handed: () => handed.count,
    shoot: ({ datagram, from }) => receive?.(datagram, from),
  };
}

/** Shoots and compares every count; returns how many were shot. */
async function shootBatch(scene: Scene, shots: Iterable<Shot>): Promise<number> {
  const { room, world, fire, handed } = scene;
  const before = room.node.status();
  const handedBefore = handed();
  const expected = nothingExpected();
  let count = 0;
  let again = 0;
  let last: Shot | undefined;
  for (const shot of shots) {
    expectAlso(expected, shot);
    if (shot.again === true) again += 1;
    scene.shoot(shot);
    last = shot;
    count += 1;
  }
  await settle();
  const after = room.node.status();
  const said = BATCH === 1 ? Buffer.from(last?.datagram ?? []).toString("hex") : "NOMQ_EACH=1 tells which";
  const counted = countsOf(after);
  const was = countsOf(before);
  const got = nothingExpected();
  for (const reason of Object.keys(got.counts) as (keyof typeof counted)[]) {
    got.counts[reason] = counted[reason] - was[reason];
  }
  got.answers = after.sent - before.sent;
  got.handed = handed() - handedBefore;
  const isFull = after.held.transfers >= roomFor(fire) - 1;
  if (isFull && got.handed <= expected.handed + again) got.handed = Math.min(got.handed, expected.handed);
  if (totalOf(got.counts) !== count || JSON.stringify(got) !== JSON.stringify(expected)) {
    expect(got, said).toEqual(expected);
  }
  await world.clock.advance((fire.ms * BATCH) / 1000);
  return count;
}

function* take(range: Range, count: number): Generator<Shot> {
  for (let at = 0; at < count; at += 1) yield range.next();
}

/** A peer that means well is served as if nothing were going on. */
async function checkService({ world, room, healthy }: Scene, qos: 1 | 2): Promise<void> {
  const outcomes: unknown[] = [];
  const note = (outcome: unknown): void => void outcomes.push(outcome);
  void healthy.node.publish("a/b", text("to the node"), { qos, to: NODE }).then(note);
  void room.node.publish("a/b", text("from the node"), { qos, to: HEALTHY }).then(note);
  await until(world.clock, () => outcomes.length === 2);
  expect(outcomes).toMatchObject([{ is: "delivered" }, { is: "delivered" }]);
}

const collect: () => void = (() => {
  setFlagsFromString("--expose-gc");
  return runInNewContext("gc") as () => void;
})();

function heapNow(): number {
  collect();
  return process.memoryUsage().heapUsed;
}

async function fuzz(seed: number, fire: Fire): Promise<number> {
  const scene = await openScene(seed, fire);
  const { world, room, range } = scene;
  await shootBatch(scene, range.openers);
  let shot = 0;
  let heap = 0;
  let most = 0;
  for (let batch = 0; shot < fire.shots; batch += 1) {
    shot += await shootBatch(scene, take(range, BATCH));
    if (batch % 500 === 499) {
      await checkService(scene, batch % 1000 === 999 ? 1 : 2);
      most = Math.max(most, heapNow());
      if (heap === 0) heap = most;
    }
  }
  await checkService(scene, 2);
  const { held, unknownChannels, unknownClocks } = room.node.status();
  expect(held.sessions).toBeLessThanOrEqual(FROMS.length + 200);
  expect(held.peers).toBeLessThanOrEqual(FROMS.length + 1);
  expect(held.transfers).toBeLessThanOrEqual(roomFor(fire));
  expect(unknownChannels.length).toBeLessThanOrEqual(256);
  expect(unknownClocks.length).toBeLessThanOrEqual(256);
  if (heap > 0) expect(most - heap).toBeLessThan(MOST_GROWTH);
  if (process.env["NOMQ_SHOW"] !== undefined) {
    const { accepted, rejected, sent } = room.node.status();
    process.stderr.write(`${JSON.stringify({ shot, accepted, rejected, sent, held, heap, most })}\n`);
  }
  await world.stop();
  expect(world.clock.pending()).toBe(0);
  return held.transfers;
}

test(
  `${SHOTS * seeds.length} fuzzed datagrams: each counted once and under the right reason, none answered that is not authentic`,
  { timeout: 1_800_000 },
  () =>
    forEachSeed(seeds, async (seed) => {
      await fuzz(seed, FIRE);
    }),
);

test(
  `${SMALL_TABLE.shots * seeds.length} with a full table of transfers: nothing is refused for that while senders end theirs, nor a QoS 2 message taken twice`,
  { timeout: 1_800_000 },
  () =>
    forEachSeed(seeds, async (seed) => {
      expect(await fuzz(seed + 1000, SMALL_TABLE)).toBe(roomFor(SMALL_TABLE));
    }),
);
