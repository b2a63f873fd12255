import { afterEach, expect, test } from "vitest";
import type { Transport } from "../../src/index.ts";
import { createWorld, text, until, type World } from "../node/node-room.ts";
import { type BridgeRoom, GATEWAY, openBridge, publish, pump, pumpDevice, texts } from "./bridge-room.ts";

const OTHER = { host: "10.0.0.201", port: 9999 };

/** Listeners on a network in memory whose sockets break when told, and cannot be opened for a while. */
function createListeners(world: World): {
  open: (url: string) => Promise<Transport>;
  broken: Set<string>;
  break: (url: string, reason: string) => void;
  asked: string[];
} {
  const fails = new Map<string, (reason: string) => void>();
  const listeners = {
    broken: new Set<string>(),
    asked: [] as string[],
    break: (url: string, reason: string): void => fails.get(url)?.(reason),
    async open(url: string): Promise<Transport> {
      listeners.asked.push(url);
      if (listeners.broken.has(url)) throw new Error("no such address");
      const { promise: failed, resolve } = Promise.withResolvers<string>();
      fails.set(url, resolve);
      return Object.assign(world.network.open(url.endsWith("8888") ? GATEWAY : OTHER), { failed });
    },
  };
  return listeners;
}

let room: BridgeRoom;
afterEach(async () => {
  await room.stop();
  expect(room.world.clock.pending()).toBe(0);
});

const ONE = "udp://10.0.0.200:8888";
const TWO = "udp://10.0.0.201:9999";

test("a bridge says what its listeners are, and is ready again when they are", async () => {
  const world = createWorld();
  const listeners = createListeners(world);
  room = await openBridge({ world, bridge: { listen: [ONE, TWO], openTransport: listeners.open } });
  expect(room.bridge.status().state).toBe("ready");
  listeners.broken.add(ONE).add(TWO);
  listeners.break(TWO, "ENOBUFS");
  await room.settle();
  expect(room.bridge.status()).toMatchObject({ state: "degraded", reason: `${TWO}: ENOBUFS` });
  listeners.break(ONE, "EBADF");
  await world.clock.advance(3000);
  expect(room.bridge.status()).toMatchObject({ state: "reconnecting" });
  listeners.broken.delete(ONE);
  await world.clock.advance(60_000);
  expect(room.bridge.status()).toMatchObject({ state: "degraded", reason: `${TWO}: no such address` });
  listeners.broken.clear();
  await world.clock.advance(60_000);
  expect(room.bridge.status()).toMatchObject({ state: "ready" });
  expect(room.bridge.status().reason).toBeUndefined();
  expect(room.bridge.addresses()).toEqual([ONE, TWO]);
});

test("what is for a device while no socket works waits, and devices are heard again afterwards", async () => {
  const world = createWorld();
  const listeners = createListeners(world);
  const bridge = { openTransport: listeners.open, broadcast: ["10.0.0.255:9001"], broadcastFilters: ["all"] };
  room = await openBridge({ world, bridge, devices: [pumpDevice] });
  const device = world.device({ transport: world.network.open(pump.at), channels: ["a/b", "all"] });
  listeners.broken.add(ONE);
  listeners.break(ONE, "its address is gone");
  await room.settle();
  await publish(room, { qos: 0, payload: text("direct") });
  await publish(room, { qos: 0, payload: text("broadcast"), channel: "all" });
  await world.clock.advance(20_000);
  expect(device.received).toEqual([]);
  expect(room.hub.attachments().find(({ name }) => name === "nomq:pump-7")).toMatchObject({
    state: "paused",
    reason: "reconnecting",
    ledger: { pending: 1 },
  });
  listeners.broken.clear();
  await until(world.clock, () => device.delivered.length === 2);
  expect(device.delivered.map((one) => one.text).sort()).toEqual(["broadcast", "direct"]);
  await device.publish({ channel: "a/b", message: "heard", qos: 1 }, GATEWAY);
  await until(world.clock, () => device.pending().size === 0);
  expect(texts(room.seen)).toContain("heard");
});

test("a bridge that is stopped opens nothing any more", async () => {
  const world = createWorld();
  const listeners = createListeners(world);
  room = await openBridge({ world, bridge: { openTransport: listeners.open } });
  listeners.broken.add(ONE);
  listeners.break(ONE, "EBADF");
  await room.settle();
  await room.stop();
  const asked = listeners.asked.length;
  await world.clock.advance(200_000);
  expect(listeners.asked).toHaveLength(asked);
  expect(room.bridge.status().state).toBe("closed");
});
