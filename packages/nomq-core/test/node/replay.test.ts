import { describe, expect, test } from "vitest";
import type { Endpoint, Rejection, Transport } from "../../src/index.ts";
import { createV1Device, settle, type V1Device } from "../../src/testing/index.ts";
import { vectorKey, vectors } from "../vectors.ts";
import { createRoom, createWorld, type Room, stateOf, text, type World } from "./node-room.ts";

const keys = { encryption: vectorKey().encryption, mac: vectorKey().mac };

interface Scene {
  readonly world: World;
  readonly room: Room;
  readonly to: Endpoint;
  readonly from: Transport;
  readonly device: V1Device;
  /** Datagrams that came back to `from`. */
  readonly answers: Uint8Array[];
  /** One PUBLISH as the device would send it, its clock `offset` seconds ahead. */
  packet(message: string, over?: { qos?: number; offset?: number }): Uint8Array;
  send(datagram: Uint8Array, from?: Transport): Promise<void>;
  rejected(): Partial<Record<Rejection, number>>;
}

async function scene(options: Parameters<World["node"]>[0] = {}): Promise<Scene> {
  const world = createWorld();
  const room = await world.node(options);
  const to = room.node.local() ?? { host: "", port: 0 };
  const from = world.network.open({ host: "10.0.0.77", port: 9001 });
  const answers: Uint8Array[] = [];
  from.onDatagram((datagram) => void answers.push(datagram));
  const device = createV1Device({ ...keys, channels: ["a/b"] });
  return {
    world,
    room,
    to,
    from,
    device,
    answers,
    packet(message, { qos = 0, offset = 0 } = {}) {
      const now = Math.floor(world.clock.now() / 1000) + offset;
      return device.publish({ channel: "a/b", message, qos }, now).datagrams[0] ?? new Uint8Array();
    },
    async send(datagram, by = from) {
      await by.send(datagram, to);
      await settle();
    },
    rejected: () => positive(room),
  };
}

function positive(room: Room): Partial<Record<Rejection, number>> {
  const { rejected } = room.node.status();
  return Object.fromEntries(Object.entries(rejected).filter(([, count]) => count > 0));
}

describe("the same bytes again", () => {
  test("at once, after 35 s and after a day are a replay, from the same port or another", async () => {
    const { world, room, packet, send, rejected } = await scene();
    const other = world.network.open();
    const recorded = packet("m", { qos: 1 });
    await send(recorded);
    await send(recorded);
    await send(recorded, other);
    await world.clock.advance(35_000);
    await send(recorded);
    await send(recorded, other);
    await world.clock.advance(24 * 3600 * 1000);
    await send(recorded);
    await send(recorded, other);
    expect(room.texts()).toEqual(["m"]);
    expect(rejected()).toEqual({ replay: 6 });
    await world.stop();
  });

  test("of an open transfer are answered again from its own address only, at most 8 times", async () => {
    const { world, answers, packet, send } = await scene();
    const other = world.network.open();
    const strangers: Uint8Array[] = [];
    other.onDatagram((datagram) => void strangers.push(datagram));
    const recorded = packet("m", { qos: 2 });
    for (let copy = 0; copy < 20; copy += 1) {
      await send(recorded);
      await send(recorded, other);
    }
    expect(answers).toHaveLength(1 + 8);
    expect(strangers).toHaveLength(0);
    await world.stop();
  });

  test("are refused by the next life of a node that kept its state, and by one of 27 hours later", async () => {
    const { world, room, packet, send } = await scene();
    const recorded = [packet("zero"), packet("one", { qos: 1 }), packet("two", { qos: 2 })];
    for (const datagram of recorded) await send(datagram);
    await room.node.stop();
    for (const hours of [0, 27]) {
      await world.clock.advance(hours * 3600 * 1000);
      const transport = world.network.open();
      const next = createRoom({ clock: world.clock, keys: [vectorKey()], transport });
      await next.node.restore(stateOf(room));
      await next.node.start();
      const stranger = world.network.open();
      for (const datagram of recorded) await stranger.send(datagram, transport.local);
      await settle();
      expect(next.texts()).toEqual([]);
      expect(positive(next)).toEqual({ replay: 3 });
      await next.node.stop();
    }
    await world.stop();
  });

  test("do not keep a restarted node from packets of the same second", async () => {
    const { world, room, packet, send, from } = await scene();
    await send(packet("before"));
    await room.node.stop();
    const transport = world.network.open();
    const next = createRoom({ clock: world.clock, keys: [vectorKey()], transport });
    await next.node.restore(stateOf(room));
    await next.node.start();
    await from.send(packet("after"), transport.local);
    await settle();
    expect(next.texts()).toEqual(["after"]);
    await next.node.stop();
    await world.stop();
  });

  test("of the last second before a crash, which were not noted, do nothing after it; later ones do", async () => {
    const { world, room, packet, send, from } = await scene();
    await send(packet("first"));
    await world.clock.advance(5_000);
    const noted = new Map(room.remembered);
    const recorded = packet("last");
    await send(recorded);
    const now = Math.floor(world.clock.now() / 1000);
    const newSession = createV1Device({ ...keys, channels: ["a/b"] });
    const [ofNewSession = text("")] = newSession.publish({ channel: "a/b", message: "new" }, now).datagrams;
    const transport = world.network.open();
    const next = createRoom({ clock: world.clock, keys: [vectorKey()], transport });
    await next.node.restore(stateOf({ ...room, remembered: noted }));
    await next.node.start();
    const stranger = world.network.open();
    for (const datagram of [recorded, ofNewSession]) {
      await stranger.send(datagram, transport.local);
      await from.send(datagram, transport.local);
    }
    await settle();
    expect(next.texts()).toEqual([]);
    expect(positive(next)).toEqual({ replay: 4 });
    await world.clock.advance(2_000);
    await from.send(packet("after"), transport.local);
    await settle();
    expect(next.texts()).toEqual(["after"]);
    await next.node.stop();
    await world.stop();
  });
});

describe("clocks", () => {
  const HOUR = 3600;
  const EPOCH_2000 = -946_684_800;

  test.each([
    ["ours", 0],
    ["30 s fast", 30],
    ["30 s slow", -30],
    ["epoch 2000", EPOCH_2000],
    ["local time of Tehran", 3.5 * HOUR + 12],
    ["epoch 2000, local time of Tehran", EPOCH_2000 + 3.5 * HOUR - 9],
    ["UTC-12", -12 * HOUR],
    ["UTC+14", 14 * HOUR + 30],
  ])("%s is accepted at first contact", async (_, offset) => {
    const { world, room, packet, send } = await scene();
    await send(packet("m", { offset }));
    expect(room.texts()).toEqual(["m"]);
    await world.stop();
  });

  test.each([
    ["31 s fast", 31],
    ["a zone of 7 minutes", 420],
    ["UTC+14:15", 14.25 * HOUR],
    ["UTC-12:15", -12.25 * HOUR],
    ["a board counting from 0", 7 - vectors.time],
  ])("%s is not, and is listed with its offset", async (_, offset) => {
    const { world, room, packet, send, rejected } = await scene();
    await send(packet("m", { offset }));
    await send(packet("m", { offset }));
    expect(room.texts()).toEqual([]);
    expect(rejected()).toEqual({ "clock-unknown": 2 });
    expect(room.node.status().unknownClocks).toMatchObject([
      { source: "10.0.0.77:9001", offset, count: 2, reason: "clock-unknown" },
    ]);
    await world.stop();
  });

  test("any is accepted of a device configured so, and of no other address", async () => {
    const peers = [{ name: "board", address: { host: "10.0.0.77", port: 9001 }, clock: "any" as const }];
    const { world, room, packet, send, rejected } = await scene({ peers });
    const odd = packet("m", { offset: 7 - vectors.time });
    await send(odd, world.network.open());
    expect(rejected()).toEqual({ "clock-unknown": 1 });
    await send(odd);
    expect(room.texts()).toEqual(["m"]);
    expect(room.taken[0]?.peer).toMatchObject({ id: "board", known: true });
    await world.stop();
  });

  test("a packet more than 30 s off its session's clock is stale, a little less is not", async () => {
    const { world, room, packet, send, rejected } = await scene();
    await send(packet("first", { offset: 3600 }));
    await world.clock.advance(20_000);
    await send(packet("late", { offset: 3600 - 30 }));
    await send(packet("later", { offset: 3600 - 31 }));
    await send(packet("early", { offset: 3600 + 30 }));
    await send(packet("earlier", { offset: 3600 + 31 }));
    expect(room.texts()).toEqual(["first", "late", "early"]);
    expect(rejected()).toEqual({ stale: 2 });
    await world.stop();
  });

  test("a step of our own wall clock leaves known sessions as they are", async () => {
    const { world, room, packet, send } = await scene();
    await send(packet("before"));
    world.clock.step(3_600_000 - 777_000);
    // The device's clock did not step.
    await send(packet("after", { offset: -(3600 - 777) }));
    expect(room.texts()).toEqual(["before", "after"]);
    await world.stop();
  });

  test("an old session cannot come back as a board in another time zone", async () => {
    const { world, room, packet, send, rejected } = await scene();
    const recorded = [packet("m"), packet("n")];
    await send(recorded[0] ?? text(""));
    await world.clock.advance(12 * 3600 * 1000);
    await send(recorded[1] ?? text(""), world.network.open());
    expect(room.texts()).toEqual(["m"]);
    expect(rejected()).toEqual({ replay: 1 });
    await world.stop();
  });
});

describe("what is unknown", () => {
  test("channel ids are listed with source and count until they get a name", async () => {
    const { world, room, send, device, to, from } = await scene();
    expect(to.port).toBeGreaterThan(0);
    const now = Math.floor(world.clock.now() / 1000);
    for (let count = 0; count < 3; count += 1) {
      const [datagram = new Uint8Array()] = device.publish({ channel: "x/y", message: "m" }, now).datagrams;
      await send(datagram);
    }
    const [listed] = room.node.status().unknownChannels;
    expect(listed).toMatchObject({ source: `${from.local.host}:${from.local.port}`, count: 3 });
    expect(listed?.hash).toMatch(/^[0-9a-f]{32}$/);
    room.node.learn("x/y");
    expect(room.node.status().unknownChannels).toEqual([]);
    const [named = new Uint8Array()] = device.publish({ channel: "x/y", message: "known" }, now).datagrams;
    await send(named);
    expect(room.texts()).toEqual(["known"]);
    await world.stop();
  });

  test("lists and log stay short whatever comes: each kind once, then sums", async () => {
    const lines: string[] = [];
    const say = (line: string): void => void lines.push(line);
    const log = { debug: say, info: say, warn: say, error: say };
    const { world, room, send } = await scene({ log, limits: { unknown: 4 } });
    const now = Math.floor(world.clock.now() / 1000);
    const peer = world.network.open();
    for (let at = 0; at < 200; at += 1) {
      await send(new Uint8Array(200).fill(at), peer);
      const device = createV1Device({ ...keys, channels: [] });
      const [datagram = new Uint8Array()] = device.publish(
        { channel: `x/${at}`, message: "m" },
        now,
      ).datagrams;
      await send(datagram, peer);
    }
    expect(room.node.status().unknownChannels).toHaveLength(4);
    expect(room.node.status().rejected).toMatchObject({ malformed: 200, "unknown-channel": 200 });
    expect(lines.length).toBeLessThanOrEqual(6);
    await world.clock.advance(120_000);
    expect(lines.length).toBeLessThanOrEqual(6 + 1 + 4);
    await world.stop();
    expect(world.clock.pending()).toBe(0);
  });
});
