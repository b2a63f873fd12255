import { expect, test } from "vitest";
import { createMemoryStore, type Qos, type Transport } from "../../src/index.ts";
import { createFaultyStore, createPrng, type FaultyStore, type Prng } from "../../src/testing/index.ts";
import { createWorld, read, text, type World } from "../node/node-room.ts";
import { type BridgeRoom, GATEWAY, openBridge } from "../nomq-bridge/bridge-room.ts";
import { drive, faultsOf, forEachSeed, seededBytes, seedsOf } from "./faults.ts";

const HALL = { host: "10.0.0.50", port: 9000 };
const CHANNELS = ["a/b", "line/1", "line/2"];
const KILLS = 6;
/**
 * With some 30 messages waiting on a channel, one under way at a time, the slowest of 300 seeds took seven and a half
 * minutes, in over two of which nothing arrived.
 */
const WITHIN_MS = 30 * 60_000;

interface Sent {
  readonly id: string;
  readonly channel: string;
  readonly qos: Qos;
  isStored: boolean;
}

/** What all runs together have shown. */
const shown = { messages: 0, doubled: 0, longestMs: 0, longestStillMs: 0 };

const seeds = seedsOf(10, 300);

test(`killed ${KILLS} times while a fifth is lost each way, the gateway still brings a node all it has stored, QoS 2 once and in order, over ${seeds.length} seeds`, {
  timeout: 1_800_000,
}, async () => {
  await forEachSeed(seeds, run);
  if (process.env["NOMQ_SHOW"] !== undefined) process.stderr.write(`${JSON.stringify(shown)}\n`);
  if (seeds.length >= 10)
    expect(shown.doubled, "repeats at QoS 1, else the kills were too kind").toBeGreaterThan(0);
});

/** A message as the node's application was handed it. */
interface Got {
  readonly id: string;
  readonly channel: string;
  readonly at: number;
}

async function run(seed: number): Promise<void> {
  const random = createPrng(seed);
  const world = createWorld(faultsOf(seed));
  const got = await openNode(world, seed);
  const gateway = await openGateway(world, seed);
  const sent: Sent[] = [];
  for (let kills = 0; kills <= KILLS; kills += 1) {
    if (kills > 0) await gateway.kill(random);
    await publishSome(gateway.room(), { world, random, sent });
  }
  const missing = (): readonly string[] => {
    const here = new Set(got.map(({ id }) => id));
    return sent.filter(({ isStored, id }) => isStored && !here.has(id)).map(({ id }) => id);
  };
  const begunAt = world.clock.monotonic();
  await advanceUntil(world, () => missing().length === 0);
  expect(missing(), `still missing after ${WITHIN_MS / 60_000} minutes`).toEqual([]);
  note(got, begunAt);
  // The last answers may be lost.
  await advanceUntil(world, () => gateway.row()?.pending === 0);
  expect(gateway.row()).toMatchObject({ pending: 0, uncertain: 0, refused: 0 });
  check(sent, got);
  shown.messages += sent.length;
  await gateway.stop();
}

async function advanceUntil({ clock }: World, condition: () => boolean): Promise<void> {
  for (let left = WITHIN_MS; !condition() && left > 0; left -= 500) await clock.advance(500);
}

async function openNode(world: World, seed: number): Promise<readonly Got[]> {
  const got: Got[] = [];
  const transport = world.network.open(HALL);
  const peers = [{ name: "gateway", address: GATEWAY, kind: "node" as const }];
  await world.node(
    { transport, peers, channels: CHANNELS, random: seededBytes(-seed) },
    {
      message: async ({ channel, payload }) => {
        got.push({ id: read(payload), channel, at: world.clock.monotonic() });
        return { is: "accepted" };
      },
    },
  );
  return got;
}

/** One gateway over all its lives, on a store that survives them. */
async function openGateway(world: World, seed: number) {
  let store: FaultyStore = createFaultyStore(createMemoryStore({ clock: world.clock }));
  let transport: Transport | undefined;
  const lives: BridgeRoom[] = [];
  const live = async (): Promise<void> => {
    const openTransport = async (): Promise<Transport> => {
      transport = world.network.open(GATEWAY);
      return transport;
    };
    const random = seededBytes(seed * 100 + lives.length);
    const devices = [
      { name: "hall", address: `${HALL.host}:${HALL.port}`, kind: "node", subscribe: ["#"] },
    ] as const;
    lives.push(
      await openBridge({
        world,
        hub: { store },
        devices,
        filters: [],
        bridge: { openTransport, random, channels: CHANNELS },
      }),
    );
  };
  await live();
  const room = (): BridgeRoom => {
    const last = lives.at(-1);
    if (last === undefined) throw new Error("it has not lived");
    return last;
  };
  return {
    room,
    row: () =>
      room()
        .hub.attachments()
        .find(({ name }) => name === "nomq:hall")?.ledger,
    /** What was open at that moment is never heard of again. */
    async kill(random: Prng) {
      store = store.crash(random.chance(0.5) ? "in" : "out");
      await transport?.[Symbol.asyncDispose]();
      await world.clock.advance(random.between(0, 300));
      await live();
    },
    async stop() {
      await drive(world.clock, Promise.all(lives.map(({ hub }) => hub[Symbol.asyncDispose]())));
      await world.stop();
      expect(world.clock.pending(), "timers after stop").toBe(0);
    },
  };
}

async function publishSome(
  room: BridgeRoom,
  { world, random, sent }: { world: World; random: Prng; sent: Sent[] },
): Promise<void> {
  const other = room.hub.port("other");
  for (let left = random.between(1, 20); left > 0; left -= 1) {
    const channel = CHANNELS[random.between(0, CHANNELS.length - 1)] ?? "a/b";
    const qos = random.chance(0.5) ? 1 : 2;
    const one: Sent = { id: `${channel}#${sent.length}`, channel, qos, isStored: false };
    sent.push(one);
    void other.publish({ channel, payload: text(one.id), qos }, "*").then(
      () => (one.isStored = true),
      () => undefined,
    );
    if (random.chance(0.8)) await world.clock.advance(random.between(0, 1000));
  }
}

function check(sent: readonly Sent[], got: readonly Got[]): void {
  const copies = new Map<string, number>();
  const places = new Map(sent.map(({ id }, at) => [id, at]));
  const newest = new Map<string, number>();
  for (const { id, channel } of got) {
    copies.set(id, (copies.get(id) ?? 0) + 1);
    if ((copies.get(id) ?? 0) > 1) {
      shown.doubled += 1;
      continue;
    }
    const place = places.get(id) ?? -1;
    expect(place, `${id} came late on its channel`).toBeGreaterThan(newest.get(channel) ?? -1);
    newest.set(channel, place);
  }
  for (const { id, qos } of sent) if (qos === 2) expect(copies.get(id) ?? 0, id).toBeLessThanOrEqual(1);
}

function note(got: readonly Got[], begunAt: number): void {
  const after = [begunAt, ...got.map(({ at }) => at).filter((at) => at > begunAt)];
  shown.longestMs = Math.max(shown.longestMs, (after.at(-1) ?? begunAt) - begunAt);
  for (const [at, time] of after.entries())
    shown.longestStillMs = Math.max(shown.longestStillMs, time - (after[at - 1] ?? time));
}
