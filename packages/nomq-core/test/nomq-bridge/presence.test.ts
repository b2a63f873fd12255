import { describe, expect, test } from "vitest";
import type { Log } from "../../src/index.ts";
import { createV1Device, type V1Driver, type V1DriverOptions } from "../../src/testing/index.ts";
import { text, until } from "../node/node-room.ts";
import { vectorKey } from "../vectors.ts";
import { type BridgeRoom, GATEWAY, openBridge, outcomeAt, publish, pump, pumpDevice } from "./bridge-room.ts";

/** A gateway that has a retained value for its one device. */
async function withValue(): Promise<BridgeRoom> {
  const room = await openBridge({ devices: [pumpDevice] });
  await publish(room, { retain: true, payload: text("setpoint") });
  await room.world.clock.advance(1000);
  return room;
}

const board = (room: BridgeRoom, over: Partial<V1DriverOptions> = {}): V1Driver =>
  room.device({ transport: over.transport ?? room.world.network.open(pump.at), paced: true, ...over });

const copies = (device: V1Driver): number => device.delivered.filter((one) => one.text === "setpoint").length;

/** A device that has its retained value, a minute into its life. */
async function settled(room: BridgeRoom, over: Partial<V1DriverOptions> = {}): Promise<V1Driver> {
  const device = board(room, over);
  await device.publish({ channel: "other", message: "here I am" }, GATEWAY);
  await until(room.world.clock, () => copies(device) > 0, 120_000);
  await room.world.clock.advance(45_000);
  return device;
}

describe("a device that cannot ask gets its retained values", () => {
  test("at first contact, though it says nothing: the heartbeat finds it", async () => {
    const room = await openBridge({ devices: [pumpDevice] });
    const { id } = await publish(room, { retain: true, payload: text("setpoint") });
    const device = board(room);
    await room.world.clock.advance(70_000);
    expect(copies(device)).toBeGreaterThanOrEqual(1);
    expect(await outcomeAt(room, id)).toMatchObject({ is: "delivered" });
    await room.stop();
  });

  test("on a new session that is no renewal", async () => {
    const room = await withValue();
    const transport = room.world.network.open(pump.at);
    const device = await settled(room, { transport });
    const before = copies(device);
    // The same board after a restart: its clock was set anew and is an hour off.
    const { encryption, mac } = vectorKey();
    const now = Math.floor(room.world.clock.now() / 1000) + 3600;
    const booted = { channel: "other", message: "booted" };
    const [datagram = text("")] = createV1Device({ encryption, mac }).publish(booted, now).datagrams;
    device.offsetSeconds = 3600;
    await transport.send(datagram, GATEWAY);
    await room.world.clock.advance(10_000);
    expect(copies(device)).toBeGreaterThan(before);
    await room.stop();
  });

  test("on its first packet after heartbeats that it left unanswered", async () => {
    const room = await withValue();
    const device = await settled(room);
    const before = copies(device);
    room.world.network.change({ drop: (_, from) => from.port === pump.at.port });
    await room.world.clock.advance(120_000);
    expect(room.bridge.devices()).toMatchObject([{ state: "offline", reason: "silent" }]);
    room.world.network.change({ drop: () => false });
    await device.publish({ channel: "other", message: "back" }, GATEWAY);
    await room.world.clock.advance(3000);
    expect(copies(device)).toBe(before + 1);
    await room.stop();
  });

  test("on its first packet after a message that it left unanswered", async () => {
    const room = await withValue();
    const device = await settled(room);
    const before = copies(device);
    device.cut.add("ACK").add("HEARTBEAT");
    await publish(room, { ttlMs: 20_000 });
    await room.world.clock.advance(25_000);
    device.cut.clear();
    await device.publish({ channel: "other", message: "back" }, GATEWAY);
    await room.world.clock.advance(3000);
    expect(copies(device)).toBe(before + 1);
    await room.stop();
  });

  test("and not on a renewal, on normal traffic, or where one heartbeat was lost", async () => {
    const room = await withValue();
    const device = await settled(room);
    const before = copies(device);
    const sessions = new Set<number>();
    for (let round = 0; round < 30; round += 1) {
      await device.publish({ channel: "other", message: "on" }, GATEWAY);
      sessions.add(device.device.sessionId);
      await room.world.clock.advance(60_500);
      if (round === 10) device.cut.add("HEARTBEAT");
      await room.world.clock.advance(2500);
      device.cut.clear();
    }
    expect(sessions.size).toBeGreaterThanOrEqual(5);
    expect(copies(device)).toBe(before);
    await room.stop();
  });

  test("one at a time and paced", async () => {
    const names = Array.from({ length: 12 }, (_, each) => `v/${each}`);
    const room = await openBridge({ devices: [{ ...pumpDevice, subscribe: names }] });
    for (const channel of names) await publish(room, { channel, retain: true, payload: text("setpoint") });
    const device = board(room, { channels: names, queue: 1 });
    await device.publish({ channel: "other", message: "here I am" }, GATEWAY);
    await room.world.clock.advance(90_000);
    expect(new Set(device.delivered.map(({ channel }) => channel)).size).toBe(12);
    expect(device.overflowed).toBe(0);
    await room.stop();
  });
});

test("a message that waits for another try leaves when the device is heard again, not ten seconds later", async () => {
  const room = await openBridge({ devices: [pumpDevice] });
  const { id } = await publish(room, { ttlMs: 3_600_000 });
  // Five sends take about 40 s; the next try would come 10 s later.
  await room.world.clock.advance(46_000);
  const device = board(room);
  await device.publish({ channel: "other", message: "back" }, GATEWAY);
  await room.world.clock.advance(2000);
  expect(device.delivered.map((one) => one.text)).toEqual(["go"]);
  expect(await outcomeAt(room, id)).toMatchObject({ is: "delivered" });
  await room.stop();
});

test("QoS 0 goes on while messages of other channels wait for a device that answers nothing", async () => {
  const room = await openBridge({ devices: [{ ...pumpDevice, subscribe: ["a/b", "c"] }] });
  const device = board(room, { channels: ["a/b", "c"], cut: ["ACK"] });
  await publish(room, { ttlMs: 3_600_000 });
  await room.world.clock.advance(35_000);
  await publish(room, { channel: "c", qos: 0, payload: text("now") });
  await room.world.clock.advance(3000);
  expect(device.delivered.some((one) => one.text === "now")).toBe(true);
  await room.stop();
});

test("who is there is listed, counted and logged, once a change", async () => {
  const lines: string[] = [];
  const log: Log = {
    debug: () => undefined,
    info: (line, fields) => void lines.push(`${line} ${String(fields?.["reason"])}`),
    warn: () => undefined,
    error: () => undefined,
  };
  const room = await openBridge({ devices: [pumpDevice], hub: { log } });
  const { clock, network } = room.world;
  await clock.advance(0);
  const first = {
    attachment: "nomq:pump-7",
    state: "offline",
    reason: "never-heard",
    address: "10.0.0.77:9001",
  };
  expect(room.bridge.devices()).toEqual([{ ...first, since: expect.any(Number) }]);
  const device = board(room);
  await device.publish({ channel: "other", message: "here I am" }, GATEWAY);
  await clock.advance(300_000);
  expect(room.bridge.devices()).toMatchObject([{ state: "online", reason: "heard" }]);
  expect(room.bridge.counts().devices).toEqual({ online: 1, offline: 0 });
  network.change({ drop: (_, from) => from.port === pump.at.port });
  await clock.advance(300_000);
  expect(room.bridge.counts().devices).toEqual({ online: 0, offline: 1 });
  expect(lines.filter((line) => line.startsWith("a device is"))).toEqual([
    "a device is online heard",
    "a device is offline silent",
  ]);
  await room.stop();
  expect(clock.pending()).toBe(0);
});

test("a node that has subscribed is listed while it has an attachment", async () => {
  const room = await openBridge();
  const peer = await room.world.node();
  await peer.node.subscribe("a/b", GATEWAY);
  await room.world.clock.advance(61_000);
  expect(room.bridge.devices()).toMatchObject([{ state: "online" }]);
  await peer.node.stop();
  await room.world.clock.advance(1000);
  expect(room.bridge.devices().filter(({ state }) => state === "online")).toEqual([]);
  await room.stop();
});
