import { describe, expect, test } from "vitest";
import { createNomqNode, type Endpoint, type NomqReceiver, type PublishOutcome } from "../../src/index.ts";
import { createV1Device, settle } from "../../src/testing/index.ts";
import { vectorKey } from "../vectors.ts";
import { createWorld, type Room, text, type World } from "./node-room.ts";

const { encryption, mac } = vectorKey();
const at = (room: Room): Endpoint => room.node.local() ?? { host: "", port: 0 };
const names = (count: number): string[] => Array.from({ length: count }, (_, each) => `c/${each}`);

/** One PUBLISH of a new device at a place of its own. */
async function stranger(world: World, room: Room, qos = 0): Promise<void> {
  const device = createV1Device({ encryption, mac });
  const now = Math.floor(world.clock.now() / 1000);
  const [datagram = text("")] = device.publish({ channel: "a/b", message: "m", qos }, now).datagrams;
  await world.network.open().send(datagram, at(room));
  await settle();
}

describe("a node on its own has the original's limits", () => {
  test("20 channels: a 21st is refused by name, and limits.channels gives more", async () => {
    const world = createWorld();
    const peers = [{ name: "n", address: { host: "10.9.0.1", port: 1 }, kind: "node" as const }];
    const room = await world.node({ channels: names(20), peers });
    expect(room.node.learn("c/20")).toBe(false);
    expect(room.node.learn("c/19")).toBe(true);
    await expect(room.node.subscribe("c/20", "n")).rejects.toMatchObject({ code: "limit-reached" });
    const options = { keys: [vectorKey()], transport: world.network.open(), channels: names(21) };
    expect(() => createNomqNode(options)).toThrow(/limit-reached.*limits\.channels/);
    const roomy = createNomqNode({ ...options, limits: { channels: 21 } });
    await roomy[Symbol.asyncDispose]();
    await world.stop();
  });

  test("a SUBSCRIBE to a 21st channel is refused and counted as limited", async () => {
    const world = createWorld();
    const room = await world.node({ channels: names(20) });
    const peer = await world.node({ channels: [] });
    await peer.node.subscribe("c/1", at(room));
    await peer.node.subscribe("other", at(room));
    await world.clock.advance(0);
    expect(await room.node.publish("c/1", text("m"))).toMatchObject({ is: "delivered" });
    expect(await room.node.publish("other", text("m"))).toMatchObject({ reason: "no-subscriber" });
    expect(room.node.status()).toMatchObject({ accepted: 1, rejected: { limited: 1 } });
    await world.stop();
  });

  test("50 messages that await an answer: the next is busy, QoS 0 is not", async () => {
    const world = createWorld();
    const room = await world.node({
      peers: [{ name: "n", address: { host: "10.9.0.1", port: 1 }, kind: "node" }],
    });
    const outcomes: PublishOutcome[] = [];
    for (let each = 0; each < 51; each += 1) {
      void room.node.publish("a/b", text("m"), { to: "n", qos: 1 }).then((one) => outcomes.push(one));
    }
    await settle();
    expect(outcomes).toMatchObject([{ is: "refused", reason: "busy" }]);
    expect(await room.node.publish("a/b", text("m"), { to: "n" })).toMatchObject({ is: "delivered" });
    await room.node.stop();
    expect(outcomes).toHaveLength(51);
    await world.stop();
  });

  test("1,024 bytes: more is too large, up to what UDP carries if limits.message says so", async () => {
    const world = createWorld();
    const sink = await world.node();
    const small = await world.node({ peers: [{ name: "n", address: at(sink), kind: "node" }] });
    const large = await world.node({
      peers: [{ name: "n", address: at(sink), kind: "node" }],
      limits: { message: 65_507 },
    });
    const outcome = (room: Room, bytes: number) =>
      room.node.publish("a/b", new Uint8Array(bytes), { to: "n" });
    expect(await outcome(small, 1024)).toMatchObject({ is: "delivered" });
    expect(await outcome(small, 1025)).toMatchObject({ is: "refused", reason: "too-large" });
    expect(await outcome(large, 65_000)).toMatchObject({ is: "delivered" });
    expect(await outcome(large, 65_507)).toMatchObject({ is: "refused", reason: "too-large" });
    await world.stop();
  });
});

describe("tables that are full refuse", () => {
  test("peers: a new address is limited until one has been idle for an hour", async () => {
    const world = createWorld();
    const room = await world.node({ limits: { peers: 3 } });
    for (let each = 0; each < 5; each += 1) await stranger(world, room);
    expect(room.texts()).toHaveLength(3);
    expect(room.node.status()).toMatchObject({ accepted: 3, rejected: { limited: 2 }, held: { peers: 3 } });
    const elsewhere = { host: "10.9.9.9", port: 9 };
    expect(await room.node.publish("a/b", text("m"), { to: elsewhere })).toMatchObject({ reason: "limited" });
    await expect(room.node.subscribe("a/b", elsewhere)).rejects.toMatchObject({ code: "limit-reached" });
    await world.clock.advance(3_600_000);
    await stranger(world, room);
    expect(room.texts()).toHaveLength(4);
    await world.stop();
  });

  test("peers: one with a subscription keeps its place", async () => {
    const world = createWorld();
    const room = await world.node({ limits: { peers: 2 } });
    const peer = await world.node();
    await peer.node.subscribe("a/b", at(room));
    await world.clock.advance(0);
    await stranger(world, room);
    await world.clock.advance(3_700_000);
    await stranger(world, room);
    expect(room.texts()).toHaveLength(2);
    expect(await room.node.publish("a/b", text("still"))).toMatchObject({ is: "delivered" });
    await world.stop();
  });

  test("sessions: new ones are limited, known ones go on, a known peer has a share, and 28 h later there is room", async () => {
    const world = createWorld();
    const known = { host: "10.0.0.77", port: 9001 };
    const room = await world.node({ limits: { sessions: 8 }, peers: [{ name: "pump", address: known }] });
    const first = world.device();
    await first.publish({ channel: "a/b", message: "first" }, at(room));
    await settle();
    for (let each = 0; each < 9; each += 1) await stranger(world, room);
    expect(room.texts()).toHaveLength(7);
    expect(room.node.status()).toMatchObject({ rejected: { limited: 3 }, held: { sessions: 7 } });
    await first.publish({ channel: "a/b", message: "again" }, at(room));
    const pump = world.device({ transport: world.network.open(known) });
    await pump.publish({ channel: "a/b", message: "known" }, at(room));
    await settle();
    expect(room.texts().slice(-2)).toEqual(["again", "known"]);
    await world.clock.advance(28 * 3_600_000 + 61_000);
    await stranger(world, room);
    expect(room.texts()).toHaveLength(10);
    await world.stop();
  });

  test("transfers: an eighth is kept for known peers, whatever strangers leave unfinished", async () => {
    const world = createWorld();
    const known = { host: "10.0.0.77", port: 9001 };
    const room = await world.node({ limits: { transfers: 8 }, peers: [{ name: "pump", address: known }] });
    for (let each = 0; each < 9; each += 1) await stranger(world, room, 2);
    expect(room.texts()).toHaveLength(7);
    const pump = world.device({ transport: world.network.open(known) });
    await pump.publish({ channel: "a/b", message: "known", qos: 2 }, at(room));
    await settle();
    expect(room.texts().at(-1)).toBe("known");
    await world.stop();
  });

  test("transfers: QoS 2 that could still come again is kept, QoS 1 that was answered gives way", async () => {
    const world = createWorld();
    const to = await world.node({ limits: { transfers: 4 } });
    const from = await world.node({
      peers: [{ name: "to", address: at(to), kind: "node" }],
      limits: { transfers: 99 },
    });
    // No PUBREC arrives: the messages stay open at their sender.
    world.network.change({ drop: (_, source) => source.host === at(to).host });
    for (let each = 0; each < 5; each += 1) {
      void from.node.publish("a/b", text(`m${each}`), { to: "to", qos: 2 });
    }
    await world.clock.advance(100);
    expect(to.texts()).toHaveLength(4);
    expect(to.node.status().rejected.limited).toBe(1);
    await world.clock.advance(5000);
    expect(to.texts()).toHaveLength(4);
    world.network.change({ drop: () => false });
    // The four end now, and a minute after their PUBREL the fifth gets in.
    await world.clock.advance(180_000);
    expect(to.texts().sort()).toEqual(["m0", "m1", "m2", "m3", "m4"]);
    for (let each = 0; each < 20; each += 1) void from.node.publish("a/b", text("one"), { to: "to", qos: 1 });
    await world.clock.advance(180_000);
    expect(to.texts().filter((one) => one === "one")).toHaveLength(20);
    await world.stop();
  });

  test("subscriptions that the application refuses are none", async () => {
    const world = createWorld();
    const receiver: Partial<NomqReceiver> = { subscribed: () => false };
    const room = await world.node({}, receiver);
    const peer = await world.node();
    await peer.node.subscribe("a/b", at(room));
    await world.clock.advance(0);
    expect(await room.node.publish("a/b", text("m"))).toMatchObject({ reason: "no-subscriber" });
    expect(room.node.status().rejected.limited).toBe(1);
    await world.stop();
  });
});

test("a receiver that throws, whatever it is told, costs that message and not the process", async () => {
  const world = createWorld();
  const thrown = (): never => {
    throw new Error("a receiver's fault");
  };
  const errors: string[] = [];
  const say = (): void => undefined;
  const log = { debug: say, info: say, warn: say, error: (message: string) => void errors.push(message) };
  const receiver = { message: thrown, heard: thrown, subscribed: thrown, unsubscribed: thrown };
  const room = await world.node({ log }, receiver);
  const received: (() => void)[] = [];
  const peer = await world.node();
  for (const qos of [0, 1, 2] as const) {
    received.push(() => void peer.node.publish("a/b", text("m"), { to: at(room), qos }));
  }
  received.push(() => void peer.node.subscribe("a/b", at(room)));
  received.push(() => void peer.node.unsubscribe("a/b", at(room)));
  for (const send of received) {
    send();
    await world.clock.advance(3000);
  }
  await stranger(world, room);
  expect(errors).toEqual(["a receiver has thrown; said once"]);
  expect(room.node.status().held.transfers).toBe(2);
  await world.stop();
  expect(world.clock.pending()).toBe(0);
});
