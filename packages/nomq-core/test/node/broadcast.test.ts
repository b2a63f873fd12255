import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { NodeBroadcastOptions } from "../../src/index.ts";
import { vectorKey } from "../vectors.ts";
import { broadcast, EPOCH_2000, type Seen, spy } from "./broadcast-room.ts";
import { createWorld, text, until, type World } from "./node-room.ts";

const EVERYONE = { host: "255.255.255.255", port: 8888 };

let world: World;
beforeEach(() => {
  world = createWorld();
});
afterEach(async () => {
  await world.stop();
  expect(world.clock.pending()).toBe(0);
});

const onPort = (port = 8888): { transport: ReturnType<World["network"]["open"]> } => ({
  transport: world.network.open({ port }),
});

describe("a broadcast", () => {
  test("reaches devices of either epoch once each, and nobody answers", async () => {
    const room = await world.node();
    const old = { paced: true, queue: 1 };
    const devices = [
      world.device({ ...old, ...onPort() }),
      world.device({ ...old, ...onPort(), offsetSeconds: EPOCH_2000 }),
      world.device({ ...old, ...onPort(), channels: ["other"] }),
    ];
    expect(await broadcast(world, room)).toEqual({ is: "delivered", packetId: 0, sessionId: 0, sent: true });
    await world.clock.advance(1000);
    expect(devices.map(({ delivered }) => delivered.map((one) => one.text))).toEqual([["m"], ["m"], []]);
    expect(devices.flatMap(({ received }) => received.filter(({ reply }) => reply !== undefined))).toEqual(
      [],
    );
    expect(room.node.status()).toMatchObject({ sent: 2, accepted: 0 });
  });

  test("that the network brings back is recognised as our own", async () => {
    const room = await world.node(onPort());
    await broadcast(world, room);
    expect(room.taken).toEqual([]);
    expect(room.node.status().rejected).toMatchObject({ own: 2, replay: 0 });
  });

  test("reaches another node once, marked as such; its peer's clock is not learnt wrong", async () => {
    const address = { host: "10.0.0.98", port: 8888 };
    const other = await world.node({ transport: world.network.open(address) });
    const room = await world.node({ peers: [{ name: "other", address, kind: "node" }] });
    // The copy for our epoch is lost the first time.
    let isFirst = true;
    world.network.change({
      drop: () => {
        const lost = isFirst;
        isFirst = false;
        return lost;
      },
    });
    await broadcast(world, room, { message: "lost" });
    await broadcast(world, room, { message: "heard", retain: true, priority: 3, ttl: 60 });
    const direct = await room.node.publish("a/b", text("direct"), { to: "other" });
    expect(direct.is).toBe("delivered");
    await until(world.clock, () => other.taken.length === 2);
    expect(other.texts()).toEqual(["heard", "direct"]);
    expect(other.taken[0]).toMatchObject({ broadcast: true, qos: 0, retain: true, priority: 3, ttl: 60 });
    expect(other.taken[1]).toMatchObject({ broadcast: false });
    expect(other.node.status().rejected).toMatchObject({ stale: 2, replay: 0, "clock-unknown": 0 });
  });

  test.each([
    ["192.168.7.255", ["192.168.7.9"], ["192.168.8.9", "10.0.0.9"]],
    ["127.255.255.255", ["127.0.0.1", "127.9.9.9"], ["10.0.0.9"]],
    ["255.255.255.255", ["127.0.0.1", "10.0.0.9"], ["fe80::9%eth0"]],
    ["ff02::1%eth0", ["fe80::9%eth0"], ["10.0.0.9"]],
  ])("to %s stays where it belongs", async (host, reached, others) => {
    const room = await world.node();
    const at = (listener: string): Seen[] => spy(world, { host: listener });
    const heard = reached.map(at);
    const unheard = others.map(at);
    await broadcast(world, room, { to: { host, port: 8888 } });
    // Nodes alone use IPv6, and they count from 1970.
    const clocks = host.startsWith("ff") ? [0] : [0, EPOCH_2000];
    expect(heard.map((seen) => seen.map(({ clock }) => clock))).toEqual(reached.map(() => clocks));
    expect(unheard.flat()).toEqual([]);
  });

  test("to a multicast group reaches those who joined", async () => {
    const room = await world.node();
    const joined = spy(world, { host: "fe80::8", multicast: ["ff02::114"] });
    const other = spy(world, { host: "fe80::9" });
    await broadcast(world, room, { to: { host: "FF02:0::114%eth0", port: 8888 } });
    expect([joined.length, other.length]).toEqual([1, 0]);
  });

  test("goes to several addresses, to each once and at its own pace", async () => {
    const room = await world.node();
    const seen = spy(world, { host: "192.168.1.9" });
    const to = [
      { host: "192.168.1.255", port: 8888 },
      { host: "192.168.1.255", port: 8888 },
      { host: "::ffff:192.168.1.255", port: 8888 },
      { host: "10.9.9.255", port: 8888 },
    ];
    expect(await broadcast(world, room, { to })).toMatchObject({ is: "delivered" });
    expect(seen).toHaveLength(2);
    expect(room.node.status().sent).toBe(4);
  });

  test("of a device that wants an acknowledgement gets one from every node, at the device's address", async () => {
    const nodes = [await world.node(onPort()), await world.node(onPort())];
    const device = world.device(onPort(9001));
    await device.publish({ channel: "a/b", message: "m", qos: 1 }, EVERYONE);
    await until(world.clock, () => device.received.length === 2);
    expect(nodes.map((room) => room.texts())).toEqual([["m"], ["m"]]);
    expect(nodes.map((room) => room.taken[0]?.broadcast)).toEqual([false, false]);
    expect(device.pending().size).toBe(0);
  });

  test("is sealed with the key asked for, for any clocks", async () => {
    const secret = { encryption: new Uint8Array(32).fill(1), mac: new Uint8Array(32).fill(2) };
    const room = await world.node({ keys: [vectorKey(), { id: "other", dialect: "auto", ...secret }] });
    const device = world.device({ ...onPort(), ...secret, offsetSeconds: 3 * 3600 });
    await broadcast(world, room, { key: "other", clocks: [3 * 3600] });
    await world.clock.advance(100);
    expect(device.delivered).toHaveLength(1);
  });
});

describe("what a broadcast is refused for", () => {
  test.each<[string, NodeBroadcastOptions & { bytes?: number }]>([
    ["qos-not-possible", { qos: 1 }],
    ["qos-not-possible", { qos: 2 }],
    ["ttl-invalid", { ttl: -1 }],
    ["ttl-invalid", { ttl: Number.NaN }],
    ["too-large", { bytes: 1025 }],
    ["address-invalid", { to: [] }],
    ["address-invalid", { to: { host: "pump.local", port: 8888 } }],
    ["address-invalid", { to: { host: "10.0.0.255", port: 0 } }],
    ["clock-invalid", { clocks: [] }],
    ["clock-invalid", { clocks: [0.5] }],
    ["key-unknown", { key: "nobody" }],
  ])("%s: %o", async (reason, { bytes = 1, ...options }) => {
    const room = await world.node();
    const outcome = await room.node.broadcast("a/b", new Uint8Array(bytes), options);
    expect(outcome).toEqual({ is: "refused", reason, packetId: 0, sessionId: 0, sent: false });
    expect(world.network.counts().sent).toBe(0);
  });

  test("a channel that is none, and a node that is not running", async () => {
    const room = await world.node();
    expect(await room.node.broadcast("a/#", text("m"))).toMatchObject({ reason: "channel-invalid" });
    await room.node.stop();
    expect(await room.node.broadcast("a/b", text("m"))).toMatchObject({ reason: "closed" });
  });

  test("the longest message that is taken needs no IP fragment", async () => {
    const room = await world.node({ limits: { message: 5000 } });
    world.network.change({ mtu: 1500 });
    const device = world.device(onPort());
    expect(await broadcast(world, room, { message: "x".repeat(1340) })).toMatchObject({
      reason: "too-large",
    });
    await broadcast(world, room, { message: "x".repeat(1339) });
    await world.clock.advance(500);
    expect(device.delivered[0]?.payload).toHaveLength(1339);
    expect(world.network.counts().oversized).toBe(0);
  });
});

test("what comes back, and the copies for others, are counted without a word in the log", async () => {
  const said: string[] = [];
  const say = (line: string): void => void said.push(line);
  const log = { debug: () => undefined, info: say, warn: say, error: say };
  const room = await world.node({ ...onPort(), log });
  const other = await world.node({ ...onPort(), log });
  for (let at = 0; at < 3; at += 1) await broadcast(world, room);
  await world.clock.advance(300_000);
  expect(room.node.status().rejected.own).toBe(6);
  expect(other.node.status().rejected.stale).toBe(3);
  expect(other.texts()).toHaveLength(3);
  expect(said).toEqual([]);
});

test("loss and duplication on the way change nothing but what arrives: at most once, in order", async () => {
  await world.stop();
  world = createWorld({ loss: 0.3, duplicate: 0.3, reorder: 0.3, seed: 5 });
  const room = await world.node({ pace: 5 });
  const others = [await world.node(onPort()), await world.node(onPort())];
  for (let at = 0; at < 40; at += 1) await broadcast(world, room, { message: `${at}` });
  await world.clock.advance(5000);
  for (const other of others) {
    const numbers = other.texts().map(Number);
    expect(numbers.length).toBeGreaterThan(10);
    expect(numbers.length).toBeLessThan(40);
    expect(numbers).toEqual([...new Set(numbers)].sort((one, two) => one - two));
  }
  expect(others[0]?.texts()).not.toEqual(others[1]?.texts());
});
