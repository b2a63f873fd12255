import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { AttachmentState } from "../../src/index.ts";
import { EPOCH_2000, type Seen, spy } from "../node/broadcast-room.ts";
import { createWorld, text, until, type World } from "../node/node-room.ts";
import {
  type BridgeRoom,
  type BridgeRoomOptions,
  GATEWAY,
  openBridge,
  outcomeAt,
  publish,
  pump,
  pumpDevice,
  texts,
} from "./bridge-room.ts";

const LAN = "10.0.0.255:8888";
const ATTACHMENT = `nomq:broadcast:${LAN}`;

let world: World;
let seen: Seen[];
beforeEach(() => {
  world = createWorld();
  seen = spy(world, { host: "10.0.0.50" });
});

const rooms: BridgeRoom[] = [];
afterEach(async () => {
  for (const room of rooms.splice(0)) await room.stop();
  expect(world.clock.pending()).toBe(0);
});

async function open(
  bridge: BridgeRoomOptions["bridge"] = {},
  over: BridgeRoomOptions = {},
): Promise<BridgeRoom> {
  const options = { broadcast: [LAN], broadcastFilters: ["a/#"], ...bridge };
  const room = await openBridge({ world, ...over, bridge: options });
  rooms.push(room);
  return room;
}

function attachment(room: BridgeRoom, name = ATTACHMENT): AttachmentState | undefined {
  return room.hub.attachments().find((one) => one.name === name);
}

describe("the broadcast addresses of a gateway", () => {
  test("get what their filters name, once for each epoch, and hear nothing of the rest", async () => {
    const room = await open();
    const devices = [0, EPOCH_2000].map((offsetSeconds) =>
      world.device({ offsetSeconds, paced: true, transport: world.network.open({ port: 8888 }) }),
    );
    await publish(room, { qos: 0, payload: text("go") });
    await publish(room, { qos: 0, channel: "b", payload: text("not for all") });
    await world.clock.advance(2000);
    expect(devices.map(({ delivered }) => delivered.map((one) => one.text))).toEqual([["go"], ["go"]]);
    expect(seen.map(({ text: said, clock }) => [said, clock])).toEqual([
      ["go", 0],
      ["go", EPOCH_2000],
    ]);
    expect(attachment(room)).toMatchObject({ durable: false, as: "nomq:site", ledger: { delivered: 1 } });
    expect(room.bridge.counts().rejected.own).toBe(2);
  });

  test("QoS 0 is delivered when it was handed to the network; QoS 1 and 2 stay uncertain", async () => {
    const room = await open();
    const ids = [];
    for (const qos of [0, 1, 2]) ids.push((await publish(room, { qos })).id);
    await world.clock.advance(3000);
    const outcomes = [];
    for (const id of ids) outcomes.push(await outcomeAt(room, id, ATTACHMENT));
    const uncertain = { is: "uncertain", reason: "a broadcast is not acknowledged" };
    expect(outcomes).toMatchObject([{ is: "delivered" }, uncertain, uncertain]);
    expect(seen).toHaveLength(6);
  });

  test("a retained value that nobody can confirm is sent once, not for ever; so is its clearing", async () => {
    const room = await open();
    await publish(room, { qos: 1, retain: true, payload: text("on") });
    await world.clock.advance(120_000);
    await publish(room, { qos: 1, retain: true, payload: text("") });
    await world.clock.advance(120_000);
    expect(seen.map((one) => one.text)).toEqual(["on", "on", "", ""]);
    const ledger = attachment(room)?.ledger;
    expect(ledger).toMatchObject({ pending: 0, uncertain: 2 });
  });

  test("a retained value that the outbox dropped is made good with the newest", async () => {
    const room = await open();
    for (let at = 0; at < 300; at += 1) {
      await publish(room, { qos: 0, retain: true, channel: `a/${at}`, payload: text(`${at}`) });
    }
    await world.clock.advance(400_000);
    expect(new Set(seen.map((one) => one.text)).size).toBe(300);
    expect(attachment(room)?.ledger).toMatchObject({ pending: 0 });
  });

  test("what takes longer than its time to live expires in the outbox", async () => {
    const room = await open({ pace: 1 });
    const ids = [];
    for (let at = 0; at < 5; at += 1) ids.push((await publish(room, { qos: 0, ttlMs: 5000 })).id);
    await world.clock.advance(20_000);
    expect(attachment(room)?.ledger).toMatchObject({ accepted: 5, delivered: 2, expired: 3, pending: 0 });
  });

  test.each([
    ["binary", Uint8Array.of(0xff, 0xfe)],
    ["too-large", text("x".repeat(1340))],
  ])("refuse %s, which no device could read", async (reason, payload) => {
    const room = await open();
    const { id } = await publish(room, { payload });
    await world.clock.advance(1000);
    expect(await outcomeAt(room, id, ATTACHMENT)).toMatchObject({ is: "refused", reason });
    expect(seen).toEqual([]);
  });

  test("an IPv6 group of nodes takes any bytes, in one copy", async () => {
    const group = spy(world, { host: "fe80::50", multicast: ["ff02::114"] });
    const room = await open({ broadcast: ["[ff02::114%eth0]:8888"] });
    await publish(room, { qos: 0, payload: Uint8Array.of(0xff, 0xfe) });
    await world.clock.advance(1000);
    expect(group).toHaveLength(1);
    expect(attachment(room, "nomq:broadcast:[ff02::114%eth0]:8888")?.ledger.delivered).toBe(1);
  });

  test("an address written twice is one", async () => {
    const room = await open({ broadcast: [LAN, "[::ffff:10.0.0.255]:8888"] });
    await publish(room, { qos: 0 });
    await world.clock.advance(1000);
    expect(seen).toHaveLength(2);
  });
});

describe("no loops", () => {
  test("a device's own message comes back to it, as to an MQTT client that subscribes to its topic", async () => {
    const at = { host: "10.0.0.77", port: 8888 };
    const devices = [{ name: "pump-7", address: "10.0.0.77:8888", subscribe: ["other"] }];
    const room = await open({}, { devices });
    const device = world.device({ transport: world.network.open(at) });
    await device.publish({ channel: "a/b", message: "measured", qos: 0 }, GATEWAY);
    await world.clock.advance(60_000);
    expect(device.delivered.map((one) => one.text)).toEqual(["measured"]);
    expect(seen).toHaveLength(2);
    expect(texts(room.seen)).toEqual(["measured"]);
  });

  test("two gateways on one network do not pass a broadcast on to each other", async () => {
    const room = await open({ broadcast: [LAN, "10.0.1.255:8888"] });
    const other = await open({
      broadcast: [LAN, "10.0.1.255:8888"],
      openTransport: async () => world.network.open({ host: "10.0.0.201", port: 8888 }),
    });
    const farther = spy(world, { host: "10.0.1.50" });
    await publish(room, { qos: 0, payload: text("once") });
    await world.clock.advance(120_000);
    expect(seen).toHaveLength(2);
    expect(farther).toHaveLength(2);
    // What reached the other by broadcast reached its hub, and ended there.
    expect(texts(other.seen)).toEqual(["once"]);
    expect(texts(room.seen)).toEqual(["once"]);
    expect(room.bridge.counts().rejected).toMatchObject({ own: 2 });
    expect(attachment(other, "nomq:broadcast:10.0.1.255:8888")?.ledger.refused).toBe(1);
  });

  test("gateways that are also each other's peers end as well", async () => {
    const address = { host: "10.0.0.201", port: 8888 };
    const peerOf = (host: string): BridgeRoomOptions => ({
      devices: [{ name: "peer", kind: "node", address: `${host}:8888`, subscribe: ["a/#"] }],
    });
    const room = await open({}, peerOf(address.host));
    const openTransport = async (): Promise<ReturnType<World["network"]["open"]>> =>
      world.network.open(address);
    const other = await open({ openTransport }, peerOf(GATEWAY.host));
    await publish(room, { qos: 0, payload: text("once") });
    await world.clock.advance(10_000);
    const passed = (): number[] => [seen.length, room.seen.length, other.seen.length];
    const before = passed();
    await world.clock.advance(120_000);
    expect(passed()).toEqual(before);
    expect(new Set(texts(other.seen))).toEqual(new Set(["once"]));
  });

  test("a device's broadcast, which no other device can read, is passed on in the form they read", async () => {
    const room = await open();
    const sender = world.device({ transport: world.network.open({ port: 9001 }) });
    const listener = world.device({ transport: world.network.open({ port: 8888 }) });
    await sender.publish(
      { channel: "a/b", message: "to all", qos: 0 },
      { host: "255.255.255.255", port: 8888 },
    );
    await until(world.clock, () => listener.delivered.length > 0);
    await world.clock.advance(5000);
    expect(listener.delivered.map((one) => one.text)).toEqual(["to all"]);
    expect(texts(room.seen)).toEqual(["to all"]);
  });
});

test("broadcasts slow a device's own messages down, and do not stop them", async () => {
  const room = await open({ broadcast: [`10.0.0.255:${pump.at.port}`] }, { devices: [pumpDevice] });
  const device = world.device({ paced: true, queue: 6, transport: world.network.open(pump.at) });
  for (let at = 0; at < 50; at += 1) await publish(room, { qos: 0, channel: "a/x", payload: text(`${at}`) });
  await world.clock.advance(1000);
  const { id } = await publish(room, { qos: 1, payload: text("direct") });
  await world.clock.advance(2500);
  expect(await outcomeAt(room, id)).toMatchObject({ is: "delivered" });
  expect(device.overflowed).toBe(0);
});
