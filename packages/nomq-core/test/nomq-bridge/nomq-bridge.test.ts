import { describe, expect, test } from "vitest";
import { createMemoryStore, type Receipt } from "../../src/index.ts";
import { createV1Device } from "../../src/testing/index.ts";
import { createWorld, text, until } from "../node/node-room.ts";
import { vectorKey } from "../vectors.ts";
import { type BridgeRoom, deviceAt, GATEWAY, openBridge, texts } from "./bridge-room.ts";

const pump = deviceAt(9001);
const pumpDevice = { name: "pump-7", address: pump.address, subscribe: ["a/b"] };

async function publish(room: BridgeRoom, over: Record<string, unknown> = {}): Promise<Receipt> {
  return room.hub.port("other").publish({ channel: "a/b", payload: text("go"), qos: 1, ...over }, "*");
}

async function outcomeAt(room: BridgeRoom, id: string, attachment = "nomq:pump-7"): Promise<unknown> {
  const receipt = await room.hub.port("other").receipt(id);
  return receipt?.outcomes.find((outcome) => outcome.attachment === attachment);
}

describe("from a device into the hub", () => {
  test("a message keeps channel, text, QoS, retain, priority and time to live", async () => {
    const room = await openBridge();
    const device = room.device();
    await device.publish(
      { channel: "a/b", message: "22.5", qos: 1, retain: true, priority: 9, ttl: 60 },
      GATEWAY,
    );
    await room.settle();
    const [message] = room.seen;
    expect(message).toMatchObject({ channel: "a/b", qos: 1, retain: true, priority: 9, origin: "nomq" });
    expect((message?.expiresAt ?? 0) - (message?.publishedAt ?? 0)).toBe(60_000);
    expect(texts(room.seen)).toEqual(["22.5"]);
    expect(device.pending().size).toBe(0);
    await room.stop();
    expect(room.world.clock.pending()).toBe(0);
  });

  test("QoS 3 counts as 0; the empty channel is refused and counted", async () => {
    const room = await openBridge();
    const device = room.device();
    await device.publish({ channel: "a/b", message: "three", qos: 3 }, GATEWAY);
    await device.publish({ channel: "", message: "nowhere", qos: 1 }, GATEWAY);
    await room.settle();
    expect(room.seen.map(({ qos }) => qos)).toEqual([0]);
    expect(room.bridge.counts().refused).toEqual({ "channel-invalid": 1 });
    await room.stop();
  });

  test("configured channels bring their content type; names of the hub resolve hashes", async () => {
    const room = await openBridge({
      bridge: { channels: [{ name: "a/b", contentType: "application/json" }] },
    });
    const device = room.device();
    await device.publish({ channel: "a/b", message: "{}" }, GATEWAY);
    await device.publish({ channel: "from/mqtt", message: "early" }, GATEWAY);
    await room.settle();
    expect(room.bridge.counts().unknownChannels).toMatchObject([{ count: 1 }]);
    await publish(room, { channel: "from/mqtt", qos: 0 });
    await room.settle();
    await device.publish({ channel: "from/mqtt", message: "late" }, GATEWAY);
    await room.settle();
    expect(room.seen.map(({ channel, contentType }) => [channel, contentType])).toEqual([
      ["a/b", "application/json"],
      ["from/mqtt", undefined],
      ["from/mqtt", undefined],
    ]);
    expect(texts(room.seen)).toEqual(["{}", "go", "late"]);
    await room.stop();
  });

  test("a message never returns to the device it came from, also when its port has changed", async () => {
    const room = await openBridge({ devices: [pumpDevice] });
    const device = room.device({ transport: room.world.network.open(pump.at) });
    await device.publish({ channel: "a/b", message: "one", qos: 1 }, GATEWAY);
    await room.settle();
    await room.world.clock.advance(2000);
    expect(room.seen.map(({ origin }) => origin)).toEqual(["nomq:pump-7"]);
    expect(device.delivered).toEqual([]);

    // The same session from another port, as behind a router that has forgotten it.
    const moved = room.world.network.open({ host: "10.0.0.77", port: 9555 });
    const heard: Uint8Array[] = [];
    moved.onDatagram((datagram) => void heard.push(datagram));
    const now = Math.floor(room.world.clock.now() / 1000);
    const [datagram] = device.device.publish({ channel: "a/b", message: "two", qos: 1 }, now).datagrams;
    await moved.send(datagram ?? text(""), GATEWAY);
    await room.settle();
    await room.world.clock.advance(2000);
    expect(room.seen.map(({ origin }) => origin)).toEqual(["nomq:pump-7", "nomq:pump-7"]);
    expect(heard).toHaveLength(1);
    // And what is for the device goes to where it was heard last.
    await publish(room, { qos: 0 });
    await room.world.clock.advance(1000);
    expect(heard).toHaveLength(2);
    await room.stop();
  });

  test("no ack while the store has not answered, and one when it has", async () => {
    const room = await openBridge({ bridge: { ack: "delivered" } });
    const gate = Promise.withResolvers<void>();
    room.outcome = async () => {
      await gate.promise;
      return { is: "delivered" };
    };
    const device = room.device();
    await device.publish({ channel: "a/b", message: "one", qos: 1 }, GATEWAY);
    await room.world.clock.advance(3000);
    expect(device.pending().size).toBe(1);
    gate.resolve();
    await room.world.clock.advance(0);
    expect(device.pending().size).toBe(0);
    await room.stop();
  });

  test("ack: delivered gives no ack when an attachment refuses, or after ackTimeout", async () => {
    const room = await openBridge({ bridge: { ack: "delivered", ackTimeout: 5000 } });
    const device = room.device();
    room.outcome = async () => ({ is: "refused", reason: "no" });
    await device.publish({ channel: "a/b", message: "one", qos: 1 }, GATEWAY);
    await room.world.clock.advance(100);
    room.outcome = () => new Promise(() => undefined);
    await device.publish({ channel: "a/b", message: "two", qos: 1 }, GATEWAY);
    await room.world.clock.advance(20_000);
    expect(device.pending().size).toBe(2);
    await room.stop();
  });
});

describe("from the hub to a device", () => {
  test.each([0, 1, 2] as const)("QoS %s arrives and the receipt says delivered", async (qos) => {
    const room = await openBridge({ devices: [pumpDevice] });
    const device = room.device({ transport: room.world.network.open(pump.at), paced: true });
    const { id } = await publish(room, { qos, priority: 5 });
    await room.world.clock.advance(3000);
    expect(device.delivered.map((one) => one.text)).toEqual(["go"]);
    expect(await outcomeAt(room, id)).toMatchObject({ is: "delivered" });
    await room.stop();
    expect(room.world.clock.pending()).toBe(0);
  });

  test("with PUBREC cut the receipt says uncertain; with ACKs cut, expired, after fresh nonces", async () => {
    const room = await openBridge({ devices: [pumpDevice] });
    const device = room.device({
      transport: room.world.network.open(pump.at),
      cut: ["PUBREC", "ACK"],
    });
    const two = await publish(room, { qos: 2, ttlMs: 600_000 });
    await room.world.clock.advance(40_000);
    expect(await outcomeAt(room, two.id)).toMatchObject({ is: "uncertain" });
    expect(device.delivered).toHaveLength(1);
    const one = await publish(room, { qos: 1, ttlMs: 120_000 });
    await room.world.clock.advance(125_000);
    expect(await outcomeAt(room, one.id)).toMatchObject({ is: "expired" });
    expect(device.delivered.length).toBeGreaterThanOrEqual(5);
    await room.stop();
  });

  test("what waited for a device that was away arrives with the time it has left", async () => {
    const room = await openBridge({ devices: [pumpDevice] });
    const { id } = await publish(room, { qos: 1, ttlMs: 600_000 });
    await room.world.clock.advance(100_000);
    const device = room.device({ transport: room.world.network.open(pump.at) });
    await until(room.world.clock, () => device.delivered.length > 0, 120_000);
    const ttl = device.received[0]?.datagram.subarray(13, 15) ?? new Uint8Array(2);
    const left = (ttl[0] ?? 0) * 256 + (ttl[1] ?? 0);
    expect(left).toBeLessThanOrEqual(500);
    expect(left).toBeGreaterThanOrEqual(380);
    await room.settle();
    expect(await outcomeAt(room, id)).toMatchObject({ is: "delivered" });
    await room.stop();
  });

  test("binary is refused or goes as base64; too large is refused, never cut", async () => {
    const devices = [
      pumpDevice,
      { name: "b64", address: "10.0.0.78:9002", subscribe: ["a/b"], binary: "base64" as const },
    ];
    const room = await openBridge({ devices });
    room.device({ transport: room.world.network.open(pump.at) });
    const b64 = room.device({ transport: room.world.network.open({ host: "10.0.0.78", port: 9002 }) });
    const binary = await publish(room, { payload: new Uint8Array([0xff, 0xfe, 0xfd]) });
    const large = await publish(room, { payload: text("x".repeat(1340)) });
    await room.world.clock.advance(5000);
    expect(await outcomeAt(room, binary.id)).toMatchObject({ is: "refused", reason: "binary" });
    expect(await outcomeAt(room, binary.id, "nomq:b64")).toMatchObject({ is: "delivered" });
    expect(await outcomeAt(room, large.id)).toMatchObject({ is: "refused", reason: "too-large" });
    expect(b64.delivered.map((one) => one.text)).toEqual(["//79"]);
    await room.stop();
  });

  test("retained messages come at first contact of a session and again after it was left unanswered", async () => {
    const room = await openBridge({ devices: [pumpDevice] });
    await publish(room, { retain: true, payload: text("setpoint") });
    await room.world.clock.advance(200_000);
    const transport = room.world.network.open(pump.at);
    const device = room.device({ transport });
    await device.publish({ channel: "other", message: "here I am" }, GATEWAY);
    await room.world.clock.advance(30_000);
    expect(device.delivered.map((one) => one.text)).toContain("setpoint");
    const before = device.delivered.length;

    // The same board after a restart, its clock now set to local time.
    const { encryption, mac } = vectorKey();
    const reborn = createV1Device({ encryption, mac });
    const now = Math.floor(room.world.clock.now() / 1000) + 3600;
    const [datagram = text("")] = reborn.publish({ channel: "other", message: "booted" }, now).datagrams;
    device.offsetSeconds = 3600;
    await transport.send(datagram, GATEWAY);
    await room.world.clock.advance(10_000);
    expect(device.delivered.length).toBeGreaterThan(before);
    await room.stop();
  });
});

test("a device that is alive but never answers one channel is not sent its retained state over and over", async () => {
  const room = await openBridge({ devices: [{ ...pumpDevice, subscribe: ["a/b", "deaf"] }] });
  await publish(room, { retain: true, payload: text("setpoint") });
  const device = room.device({ transport: room.world.network.open(pump.at) });
  await publish(room, { channel: "deaf", qos: 1, ttlMs: 8000 });
  for (let second = 0; second < 60; second += 1) {
    await device.publish({ channel: "other", message: "alive" }, GATEWAY);
    await room.world.clock.advance(1000);
  }
  const copies = device.delivered.filter((one) => one.text === "setpoint").length;
  expect(copies).toBeGreaterThanOrEqual(1);
  expect(copies).toBeLessThanOrEqual(2);
  await room.stop();
});

describe("time to live 0 is now or never", () => {
  test("in: delivered to who is there, kept for no one, and acknowledged", async () => {
    const room = await openBridge({ devices: [pumpDevice] });
    const device = room.device();
    await device.publish({ channel: "a/b", message: "now", qos: 1, ttl: 0 }, GATEWAY);
    await room.settle();
    expect(texts(room.seen)).toEqual(["now"]);
    expect(device.pending().size).toBe(0);
    await room.world.clock.advance(5000);
    const pump7 = room.hub.attachments().find(({ name }) => name === "nomq:pump-7");
    expect(pump7?.ledger).toMatchObject({ pending: 0, delivered: 0, expired: 1 });
    await room.stop();
  });

  test.each([0, 1, 2] as const)("out at QoS %s: with 0 on the wire, once", async (qos) => {
    const room = await openBridge({ devices: [pumpDevice] });
    const device = room.device({ transport: room.world.network.open(pump.at) });
    await device.publish({ channel: "other", message: "here I am" }, GATEWAY);
    const { id } = await publish(room, { qos, ttlMs: 0 });
    await room.world.clock.advance(3000);
    expect(device.delivered.map((one) => one.text)).toEqual(["go"]);
    expect(device.received[0]?.datagram.subarray(13, 15)).toEqual(new Uint8Array([0, 0]));
    expect(await outcomeAt(room, id)).toMatchObject({ is: "delivered" });
    await room.stop();
  });
});

describe("over a restart of the gateway with its store kept", () => {
  test("replays are refused, packets of the same second taken, and a device's clock is remembered", async () => {
    const store = createMemoryStore();
    const first = await openBridge({ devices: [pumpDevice], hub: { store } });
    const { world } = first;
    const transport = world.network.open(pump.at);
    const device = first.device({ transport, offsetSeconds: -946_684_800 + 12_600 });
    const now = Math.floor(world.clock.now() / 1000) + device.offsetSeconds;
    const sealed = ([0, 1, 2] as const).map(
      (qos) => device.device.publish({ channel: "a/b", message: `m${qos}`, qos }, now).datagrams[0],
    );
    for (const datagram of sealed) await transport.send(datagram ?? text(""), GATEWAY);
    await first.settle();
    expect(texts(first.seen)).toEqual(["m0", "m1", "m2"]);
    await first.hub[Symbol.asyncDispose]();

    const second = await openBridge({ devices: [pumpDevice], hub: { store }, world });
    const stranger = world.network.open();
    for (const datagram of sealed) await stranger.send(datagram ?? text(""), GATEWAY);
    await second.settle();
    expect(second.seen).toEqual([]);
    expect(second.bridge.counts().rejected.replay).toBe(3);
    await device.publish({ channel: "a/b", message: "fresh", qos: 1 }, GATEWAY);
    await second.settle();
    expect(texts(second.seen)).toEqual(["fresh"]);
    await second.stop();

    const third = await openBridge({
      devices: [pumpDevice],
      hub: { store },
      world: createWorld({ start: world.clock.now() }),
    });
    const listener = third.device({
      transport: third.world.network.open(pump.at),
      offsetSeconds: device.offsetSeconds,
    });
    await publish(third);
    await third.world.clock.advance(1000);
    expect(listener.received).toHaveLength(1);
    expect(listener.delivered.map((one) => one.text)).toEqual(["go"]);
    await third.stop();
  });

  test("what the hub refused is refused as a replay too: it was never acknowledged, and its state was kept", async () => {
    const store = createMemoryStore();
    const denied = { may: (_: unknown, action: string) => action !== "publish" };
    const first = await openBridge({ hub: { store, access: denied } });
    const { world } = first;
    const device = first.device();
    const now = Math.floor(world.clock.now() / 1000);
    const sealed =
      device.device.publish({ channel: "a/b", message: "m", qos: 1 }, now).datagrams[0] ?? text("");
    const sender = world.network.open();
    await sender.send(sealed, GATEWAY);
    await first.settle();
    expect(first.bridge.counts().refused).toEqual({ access: 1 });
    await first.hub[Symbol.asyncDispose]();
    const second = await openBridge({ hub: { store }, world });
    await sender.send(sealed, GATEWAY);
    await second.settle();
    expect(second.seen).toEqual([]);
    expect(second.bridge.counts().rejected.replay).toBe(1);
    await second.stop();
  });

  test("a node's QoS 2 message that was taken before and not answered is answered, and routed once", async () => {
    const store = createMemoryStore();
    const first = await openBridge({ hub: { store } });
    const { world } = first;
    const peer = await world.node({
      peers: [{ name: "gateway", address: GATEWAY, kind: "node" }],
    });
    world.network.change({ drop: (_, from) => from.port === GATEWAY.port });
    let outcome: unknown;
    void peer.node.publish("a/b", text("m"), { qos: 2, to: "gateway" }).then((value) => {
      outcome = value;
    });
    await world.clock.advance(500);
    expect(texts(first.seen)).toEqual(["m"]);
    await first.hub[Symbol.asyncDispose]();
    world.network.change({ drop: () => false });
    const second = await openBridge({ hub: { store }, world });
    await world.clock.advance(10_000);
    expect(outcome).toMatchObject({ is: "delivered" });
    expect(second.seen).toEqual([]);
    await second.stop();
  });
});

describe("between gateways and nodes of ours", () => {
  test("a peer that says SUBSCRIBE gets what is published, retained first, until it says UNSUBSCRIBE", async () => {
    const room = await openBridge();
    await publish(room, { retain: true, payload: text("kept") });
    const peer = await room.world.node();
    await peer.node.subscribe("a/b", GATEWAY);
    await room.world.clock.advance(1000);
    expect(peer.texts()).toEqual(["kept"]);
    expect(peer.taken[0]?.retain).toBe(true);
    const { id } = await publish(room, { qos: 2, payload: new Uint8Array([0xff, 0]) });
    await room.world.clock.advance(2000);
    expect([...(peer.taken[1]?.payload ?? [])]).toEqual([0xff, 0]);
    const { host = "", port = 0 } = peer.node.local() ?? {};
    expect(await outcomeAt(room, id, `nomq:${host}:${port}`)).toMatchObject({ is: "delivered" });
    await peer.node.publish("a/b", text("mine"), { qos: 1, to: GATEWAY });
    await room.world.clock.advance(1000);
    expect(peer.texts()).toHaveLength(2);
    await peer.node.unsubscribe("a/b", GATEWAY);
    await room.world.clock.advance(1000);
    await publish(room);
    await room.world.clock.advance(1000);
    expect(peer.texts()).toHaveLength(2);
    expect(room.hub.attachments().map(({ name }) => name)).toEqual(["other"]);
    await room.stop();
    expect(room.world.clock.pending()).toBe(0);
  });
});

test("addresses are those it listens on; after stop there are none and the status is closed", async () => {
  const room = await openBridge();
  expect(room.bridge.addresses()).toEqual(["udp://10.0.0.200:8888"]);
  expect(room.bridge.status().state).toBe("ready");
  await room.bridge.stop();
  await room.bridge.stop();
  expect(room.bridge.addresses()).toEqual([]);
  expect(room.bridge.status().state).toBe("closed");
  await room.stop();
});
