import { expect, test } from "vitest";
import { createHub, createNomqBridge, type Transport } from "../../src/index.ts";
import { settle } from "../../src/testing/index.ts";
import { createWorld, type World } from "../node/node-room.ts";
import { vectorKey } from "../vectors.ts";
import { GATEWAY } from "./bridge-room.ts";

/** A bridge whose ports open when told, and how many are open. */
function open(world: World) {
  const opening: (() => void)[] = [];
  const counts = { open: 0 };
  const openTransport = (url: string): Promise<Transport> =>
    new Promise((resolve) => {
      opening.push(() => {
        counts.open += 1;
        const inner = world.network.open(url.endsWith(":123") ? { ...GATEWAY, port: 123 } : GATEWAY);
        const dispose = inner[Symbol.asyncDispose].bind(inner);
        const close = async (): Promise<void> => {
          counts.open -= 1;
          await dispose();
        };
        resolve(Object.assign(inner, { [Symbol.asyncDispose]: close }));
      });
    });
  const bridge = createNomqBridge({
    listen: ["udp://10.0.0.200:8888"],
    time: "udp://10.0.0.200:123",
    keys: [vectorKey()],
    openTransport,
  });
  return { bridge, opening, counts };
}

test.each([0, 1])("a bridge stopped while it opens port %i leaves nothing open", async (before) => {
  const world = createWorld();
  const { bridge, opening, counts } = open(world);
  await using hub = createHub({ clock: world.clock });
  hub.add(bridge);
  const started = hub.start().catch((error: unknown) => error);
  await settle(20);
  for (let each = 0; each < before; each += 1) {
    opening.shift()?.();
    await settle(20);
  }
  const stopped = bridge.stop();
  await settle(20);
  for (const each of opening) each();
  await stopped;
  await started;
  await settle(20);
  expect(bridge.status().state).toBe("closed");
  expect(bridge.addresses()).toEqual([]);
  await hub[Symbol.asyncDispose]();
  await world.stop();
  expect(counts.open).toBe(0);
  expect(world.clock.pending()).toBe(0);
});
