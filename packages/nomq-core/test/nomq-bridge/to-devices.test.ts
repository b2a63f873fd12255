import { describe, expect, test } from "vitest";
import { createV1Device } from "../../src/testing/index.ts";
import { text, until } from "../node/node-room.ts";
import { vectorKey } from "../vectors.ts";
import { GATEWAY, openBridge, outcomeAt, publish, pump, pumpDevice, texts } from "./bridge-room.ts";

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
