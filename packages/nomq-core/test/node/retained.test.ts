import { describe, expect, test } from "vitest";
import type { Endpoint } from "../../src/index.ts";
import { settle } from "../../src/testing/index.ts";
import { createWorld, type Room, text } from "./node-room.ts";

const PUMP: Endpoint = { host: "10.0.0.77", port: 9001 };
const at = (room: Room): Endpoint => room.node.local() ?? { host: "", port: 0 };

describe("retained messages of a node on its own", () => {
  test("the last five of a channel go to a new subscriber, oldest first, marked as retained, once", async () => {
    const world = createWorld();
    const room = await world.node();
    for (let each = 0; each < 7; each += 1) {
      const outcome = await room.node.publish("a/b", text(`m${each}`), { retain: true, qos: 1 });
      expect(outcome).toMatchObject({ is: "kept", sent: false });
    }
    await room.node.publish("c", text("other"), { retain: true });
    const peer = await world.node();
    await peer.node.subscribe("a/b", at(room));
    await world.clock.advance(200_000);
    expect(peer.texts()).toEqual(["m2", "m3", "m4", "m5", "m6"]);
    expect(peer.taken.every(({ retain, qos }) => retain && qos === 1)).toBe(true);
    await world.stop();
  });

  test("what has expired is gone, what is left says how long, and an empty message clears the channel", async () => {
    const world = createWorld();
    const room = await world.node({ channels: ["a/b", "c"] });
    await room.node.publish("a/b", text("short"), { retain: true, ttl: 10 });
    await room.node.publish("a/b", text("long"), { retain: true, ttl: 100 });
    await room.node.publish("c", text("cleared"), { retain: true });
    await room.node.publish("c", text(""), { retain: true });
    await room.node.publish("a/b", text("now"), { retain: true, ttl: 0 });
    await world.clock.advance(40_000);
    const peer = await world.node({ channels: ["a/b", "c"] });
    await peer.node.subscribe("a/b", at(room));
    await peer.node.subscribe("c", at(room));
    await world.clock.advance(1000);
    expect(peer.texts()).toEqual(["long"]);
    expect(peer.taken[0]?.ttl).toBe(60);
    await world.stop();
  });

  test("limits.retained says how many; 0 keeps none; without room for a channel the message is refused", async () => {
    const world = createWorld();
    const one = await world.node({ limits: { retained: 1, channels: 2 } });
    for (const channel of ["a", "b"]) await one.node.publish(channel, text("m"), { retain: true });
    expect(await one.node.publish("c", text("m"), { retain: true })).toMatchObject({
      is: "refused",
      reason: "limited",
    });
    expect(await one.node.publish("a", text("n"), { retain: true })).toMatchObject({ is: "kept" });
    const none = await world.node({ limits: { retained: 0 } });
    expect(await none.node.publish("a", text("m"), { retain: true })).toMatchObject({
      is: "refused",
      reason: "no-subscriber",
    });
    await world.stop();
  });

  test("what is sent to one peer is kept for no other", async () => {
    const world = createWorld();
    const room = await world.node();
    const first = await world.node();
    await room.node.publish("a/b", text("private"), { retain: true, to: at(first) });
    const second = await world.node();
    await second.node.subscribe("a/b", at(room));
    await world.clock.advance(1000);
    expect(second.texts()).toEqual([]);
    await world.stop();
  });

  test("go to a known v1 device at contact and after silence, paced and in order, not on a renewal", async () => {
    const world = createWorld();
    const peers = [{ name: "pump", address: PUMP, channels: ["a/b", "c"] }];
    const room = await world.node({ peers, channels: ["a/b", "c"] });
    for (const [channel, message] of [
      ["a/b", "m0"],
      ["c", "n0"],
      ["a/b", "m1"],
    ] as const) {
      void room.node.publish(channel, text(message), { retain: true });
    }
    await world.clock.advance(10_000);
    const device = world.device({
      transport: world.network.open(PUMP),
      channels: ["a/b", "c"],
      queue: 1,
      paced: true,
    });
    await device.publish({ channel: "a/b", message: "here I am" }, at(room));
    await world.clock.advance(5000);
    const kept = ["m0", "m1", "n0"];
    const got = (): string[] => device.delivered.map((one) => one.text);
    expect(got()).toEqual(kept);
    expect(device.overflowed).toBe(0);
    for (let minute = 0; minute < 12; minute += 1) {
      await world.clock.advance(60_000);
      await device.publish({ channel: "a/b", message: "on" }, at(room));
    }
    await settle();
    expect(got()).toEqual(kept);
    device.cut.add("HEARTBEAT");
    await world.clock.advance(200_000);
    await device.publish({ channel: "a/b", message: "back" }, at(room));
    await world.clock.advance(5000);
    expect(got()).toEqual([...kept, ...kept]);
    await world.stop();
  });
});

describe("subscriptions", () => {
  test("can be announced to several peers at once, and taken back", async () => {
    const world = createWorld();
    const rooms = [await world.node(), await world.node()];
    const peer = await world.node();
    await peer.node.subscribe("a/b", rooms.map(at));
    await world.clock.advance(0);
    for (const room of rooms) await room.node.publish("a/b", text("m"));
    await world.clock.advance(0);
    expect(peer.texts()).toEqual(["m", "m"]);
    await peer.node.unsubscribe("a/b", rooms.map(at));
    await world.clock.advance(0);
    for (const room of rooms) {
      expect(await room.node.publish("a/b", text("m"))).toMatchObject({ reason: "no-subscriber" });
    }
    await world.stop();
  });

  test("of a device stand in its configuration: what is published without `to` goes there", async () => {
    const world = createWorld();
    const room = await world.node({ peers: [{ name: "pump", address: PUMP, channels: ["a/b"] }] });
    const device = world.device({ transport: world.network.open(PUMP) });
    void room.node.publish("a/b", text("go"), { qos: 1 });
    await world.clock.advance(3000);
    expect(device.delivered.map((one) => one.text)).toEqual(["go"]);
    await world.stop();
  });
});
