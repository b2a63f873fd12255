import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Endpoint, Rejection, Transport } from "../../src/index.ts";
import { createV1Device, settle, type V1Device } from "../../src/testing/index.ts";
import { seededBytes } from "../proof/faults.ts";
import { vectorKey } from "../vectors.ts";
import { createRoom, createWorld, type Room, stateOf, text, until, type World } from "./node-room.ts";

const RUNS = process.env["NOMQ_LONG"] === undefined ? 60 : 3000;
const keys = { encryption: vectorKey().encryption, mac: vectorKey().mac };
const BOARD = { host: "10.0.0.77", port: 9001 };

interface Scene {
  readonly world: World;
  readonly room: Room;
  readonly to: Endpoint;
  readonly board: Transport;
  /** Types of the answers the board got. */
  readonly answers: number[];
  readonly device: V1Device;
  packet(message: string, over?: { qos?: number; channel?: string }): Uint8Array;
  send(datagram: Uint8Array, from?: Transport): Promise<void>;
}

async function scene(options: Parameters<World["node"]>[0] = {}): Promise<Scene> {
  const world = createWorld();
  const room = await world.node(options);
  const to = room.node.local() ?? { host: "", port: 0 };
  const board = world.network.open(BOARD);
  const answers: number[] = [];
  board.onDatagram((datagram) => void answers.push(datagram[3] ?? 0));
  const device = createV1Device({ ...keys, channels: [] });
  return {
    world,
    room,
    to,
    board,
    answers,
    device,
    packet(message, { qos = 0, channel = "x/y" } = {}) {
      const now = Math.floor(world.clock.now() / 1000);
      return device.publish({ channel, message, qos }, now).datagrams[0] ?? text("");
    },
    async send(datagram, from = board) {
      await from.send(datagram, to);
      await settle();
    },
  };
}

function rejected(room: Room): Partial<Record<Rejection, number>> {
  const entries = Object.entries(room.node.status().rejected);
  return Object.fromEntries(entries.filter(([, count]) => count > 0));
}

const ACK = 3;
const PUBREC = 6;

describe("the same bytes of a message on a channel without a name (protocol.md section 7)", () => {
  test.each([
    [0, []],
    [1, [ACK]],
    [2, [PUBREC]],
  ] as const)("at QoS %i are taken once when it has one, and answered only then", async (qos, answered) => {
    const { world, room, answers, packet, send } = await scene();
    const datagram = packet("m", { qos });
    await send(datagram);
    await send(datagram);
    expect({ texts: room.texts(), answers }).toEqual({ texts: [], answers: [] });
    expect(rejected(room)).toEqual({ "unknown-channel": 2 });
    expect(room.node.status().unknownChannels).toMatchObject([{ count: 2, source: "10.0.0.77:9001" }]);
    expect(room.node.learn("x/y")).toBe(true);
    await send(datagram);
    expect({ texts: room.texts(), answers }).toEqual({ texts: ["m"], answers: answered });
    // From now on they are what any taken message is: never delivered again, and an open transfer is answered.
    await send(datagram);
    expect(room.texts()).toEqual(["m"]);
    expect(answers).toEqual([...answered, ...answered]);
    expect(rejected(room)).toEqual({ "unknown-channel": 2, replay: 1 });
    await world.stop();
  });

  test("from another address are a replay, before and after, and do not move the device there", async () => {
    const peers = [{ name: "board", address: BOARD }];
    const { world, room, packet, send } = await scene({ peers });
    const thief = world.network.open();
    const caught: Uint8Array[] = [];
    thief.onDatagram((datagram) => void caught.push(datagram));
    const datagram = packet("m", { qos: 1 });
    await send(datagram);
    await send(datagram, thief);
    room.node.learn("x/y");
    await send(datagram, thief);
    expect(rejected(room)).toEqual({ "unknown-channel": 1, replay: 2 });
    expect(room.texts()).toEqual([]);
    expect(room.node.peer("board")?.address).toEqual(BOARD);
    expect(room.node.peer(thief.local)).toBeUndefined();
    await send(datagram);
    expect(room.texts()).toEqual(["m"]);
    expect(caught).toEqual([]);
    await world.stop();
  });

  test("are a replay once their 30 s are over", async () => {
    const { world, room, packet, send } = await scene();
    const datagram = packet("m", { qos: 1 });
    await send(datagram);
    await world.clock.advance(31_000);
    room.node.learn("x/y");
    await send(datagram);
    expect(room.texts()).toEqual([]);
    expect(rejected(room)).toEqual({ "unknown-channel": 1, replay: 1 });
    await world.stop();
  });

  test("are a replay to the next life of a node that kept its state", async () => {
    const { world, room, packet, send, board } = await scene();
    const datagram = packet("m", { qos: 1 });
    await send(datagram);
    await world.clock.advance(2000);
    await room.node.stop();
    const transport = world.network.open();
    const next = createRoom({ clock: world.clock, keys: [vectorKey()], transport, channels: ["x/y"] });
    await next.node.restore(stateOf(room));
    await next.node.start();
    await board.send(datagram, transport.local);
    await settle();
    expect(next.texts()).toEqual([]);
    expect(rejected(next)).toEqual({ replay: 1 });
    await next.node.stop();
    await world.stop();
  });

  test("of one session 64 are told from replays; a session learns its clock from them", async () => {
    const { world, room, packet, send } = await scene();
    const datagrams = Array.from({ length: 70 }, (_, at) => packet(`m${at}`));
    for (const datagram of datagrams) await send(datagram);
    room.node.learn("x/y");
    for (const datagram of datagrams) await send(datagram);
    expect(room.texts()).toHaveLength(64);
    expect(rejected(room)).toEqual({ "unknown-channel": 70, replay: 6 });
    // A quarter of an hour later the recording is no board in another time zone.
    await world.clock.advance(900_000);
    await send(datagrams[69] ?? text(""), world.network.open());
    expect(rejected(room)).toEqual({ "unknown-channel": 70, replay: 7 });
    await world.stop();
  });

  test("whatever comes in whatever order: nothing is delivered twice, and each datagram is counted once", async () => {
    const step = fc.oneof(
      {
        weight: 3,
        arbitrary: fc.record({ do: fc.constant("publish" as const), qos: fc.nat(2), named: fc.boolean() }),
      },
      {
        weight: 5,
        arbitrary: fc.record({ do: fc.constant("repeat" as const), back: fc.nat(8), foreign: fc.boolean() }),
      },
      { weight: 1, arbitrary: fc.record({ do: fc.constant("wait" as const), seconds: fc.nat(20) }) },
      { weight: 1, arbitrary: fc.constant({ do: "learn" as const }) },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40, size: "max" }), async (steps) => {
        const { world, room, packet, send } = await scene();
        const stranger = world.network.open();
        const sent: { datagram: Uint8Array; named: boolean; at: number; taken: boolean }[] = [];
        let count = 0;
        let known = false;
        for (const each of steps) {
          const at = world.clock.now();
          if (each.do === "wait") await world.clock.advance(each.seconds * 1000);
          if (each.do === "learn") known = room.node.learn("x/y");
          if (each.do === "publish") {
            const over = each.named ? { qos: each.qos, channel: "a/b" } : { qos: each.qos };
            const datagram = packet(String(sent.length), over);
            await send(datagram);
            sent.push({ datagram, named: each.named, at, taken: each.named || known });
            count += 1;
          }
          if (each.do === "repeat") {
            const one = sent[sent.length - 1 - each.back];
            if (one === undefined) continue;
            await send(one.datagram, each.foreign ? stranger : undefined);
            // Whole seconds: at 30 s the stamp may lie on either side.
            if (!each.foreign && known && at - one.at <= 30_000) one.taken = true;
            count += 1;
          }
        }
        const taken = sent.flatMap((one, at) => (one.taken ? [String(at)] : []));
        expect([...room.texts()].sort()).toEqual([...taken].sort());
        const { accepted, rejected: why } = room.node.status();
        expect(accepted + Object.values(why).reduce((sum, each) => sum + each, 0)).toBe(count);
        await world.stop();
      }),
      { numRuns: RUNS, seed: 4 },
    );
  });
});

describe("a sender that tries again", () => {
  test.each(["device", "node"] as const)(
    "at QoS 1 and 2, taking us for a %s: its message arrives once after the channel has its name",
    async (kind) => {
      for (const qos of [1, 2] as const) {
        const world = createWorld();
        const room = await world.node();
        const to = room.node.local() ?? BOARD;
        // Seeded: with the longest waits the bytes for our clock are not sent a third time within their 20 s.
        const random = seededBytes(2);
        const sender = await world.node({ peers: [{ name: "us", address: to, kind }], random });
        let outcome: string | undefined;
        void sender.node.publish("x/y", text("m"), { to: "us", qos }).then(({ is }) => {
          outcome = is;
        });
        await until(world.clock, () => room.node.status().rejected["unknown-channel"] > 1, 10_000);
        expect({ texts: room.texts(), outcome }).toEqual({ texts: [], outcome: undefined });
        room.node.learn("x/y");
        await until(world.clock, () => outcome !== undefined);
        expect({ texts: room.texts(), outcome }).toEqual({ texts: ["m"], outcome: "delivered" });
        await world.stop();
        expect(world.clock.pending()).toBe(0);
      }
    },
  );

  test("a v1 device, which never does, waits for its acknowledgement; its program's next try arrives", async () => {
    const world = createWorld();
    const room = await world.node();
    const to = room.node.local() ?? BOARD;
    const device = world.device({ channels: ["x/y"] });
    await device.publish({ channel: "x/y", message: "one", qos: 1 }, to);
    await world.clock.advance(1000);
    expect(device.pending().size).toBe(1);
    room.node.learn("x/y");
    await device.publish({ channel: "x/y", message: "two", qos: 1 }, to);
    await world.clock.advance(1000);
    expect(room.texts()).toEqual(["two"]);
    expect(device.pending().size).toBe(1);
    await world.stop();
  });
});

describe("the list of channels without a name", () => {
  test("has sources, count, and the times it was heard first and last", async () => {
    const { world, room, packet, send } = await scene();
    const begun = world.clock.now();
    await send(packet("m"));
    for (let other = 0; other < 9; other += 1) {
      await world.clock.advance(1000);
      await send(packet("m"), world.network.open({ host: `10.0.1.${other}`, port: 9001 }));
    }
    const [listed] = room.node.status().unknownChannels;
    expect(listed).toMatchObject({
      count: 10,
      firstSeen: begun,
      lastSeen: begun + 9000,
      source: "10.0.1.8:9001",
    });
    expect(listed?.sources).toEqual([
      "10.0.0.77:9001",
      ...[0, 1, 2, 3, 4, 5, 6].map((at) => `10.0.1.${at}:9001`),
    ]);
    await world.stop();
  });

  test("is reached with the key only, and a full one gives room to what is new after a day", async () => {
    const { world, room, packet, send } = await scene({ limits: { unknown: 2 } });
    const foreign = createV1Device({ encryption: keys.encryption, mac: new Uint8Array(32), channels: [] });
    const now = Math.floor(world.clock.now() / 1000);
    const [forged = text("")] = foreign.publish({ channel: "forged", message: "m" }, now).datagrams;
    await send(forged);
    for (const channel of ["one", "two", "three"]) await send(packet("m", { channel }));
    const hashes = (): readonly string[] => room.node.status().unknownChannels.map(({ hash }) => hash);
    const before = hashes();
    expect(before).toHaveLength(2);
    await world.clock.advance(25 * 3600 * 1000);
    const board = world.network.open();
    const later = createV1Device({ ...keys, channels: [] });
    const [fourth = text("")] = later.publish(
      { channel: "four", message: "m" },
      Math.floor(world.clock.now() / 1000),
    ).datagrams;
    await send(fourth, board);
    expect(hashes()).toHaveLength(2);
    expect(hashes()).not.toEqual(before);
    expect(rejected(room)).toEqual({ "bad-mac": 1, "unknown-channel": 4 });
    await world.stop();
  });
});
