import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createNomqNode, type Endpoint, type Transport } from "../../src/index.ts";
import { settle } from "../../src/testing/index.ts";
import { vectorKey } from "../vectors.ts";
import { createWorld, text, type World } from "./node-room.ts";

const AWAY: Endpoint = { host: "10.0.0.99", port: 8888 };

let world: World;
beforeEach(() => {
  world = createWorld();
});
afterEach(() => world.stop());

/** A transport that opens when told, and how many are open. */
function gate() {
  const opening: { resolve: () => void; reject: () => void }[] = [];
  const counts = { open: 0 };
  const transport = (): Promise<Transport> =>
    new Promise((resolve, reject) => {
      opening.push({
        reject: () => reject(new Error("no such address")),
        resolve() {
          counts.open += 1;
          const inner = world.network.open();
          const dispose = inner[Symbol.asyncDispose].bind(inner);
          resolve(
            Object.assign(inner, {
              async [Symbol.asyncDispose]() {
                counts.open -= 1;
                await dispose();
              },
            }),
          );
        },
      });
    });
  return { transport, opening, counts };
}

describe("a node leaves nothing behind", () => {
  test("stopped while it opens its transport", async () => {
    const { transport, opening, counts } = gate();
    const node = createNomqNode({ transport, keys: [vectorKey()], clock: world.clock });
    const started = node.start().catch((error: unknown) => error);
    const stopped = node.stop();
    opening[0]?.resolve();
    expect(await started).toMatchObject({ code: "closed" });
    await stopped;
    expect(counts.open).toBe(0);
    expect(world.clock.pending()).toBe(0);
  });

  test("started twice at once: one transport", async () => {
    const { transport, opening, counts } = gate();
    const node = createNomqNode({ transport, keys: [vectorKey()], clock: world.clock });
    const both = [node.start(), node.start()];
    await settle();
    for (const each of opening) each.resolve();
    await Promise.all(both);
    expect(counts.open).toBe(1);
    await node.stop();
    await node.stop();
    expect(counts.open).toBe(0);
    expect(world.clock.pending()).toBe(0);
  });

  test("that was given an open transport and never started", async () => {
    const transport = world.network.open(AWAY);
    const node = createNomqNode({ transport, keys: [vectorKey()], clock: world.clock });
    await node.stop();
    expect(() => world.network.open(AWAY)).not.toThrow();
  });

  test("whose start has failed; it may be started again", async () => {
    const { transport, opening, counts } = gate();
    const node = createNomqNode({ transport, keys: [vectorKey()], clock: world.clock });
    const failed = node.start().catch((error: unknown) => error);
    opening[0]?.reject();
    expect(await failed).toMatchObject({ message: "no such address" });
    expect(world.clock.pending()).toBe(0);
    const again = node.start();
    await settle();
    opening[1]?.resolve();
    await again;
    await node[Symbol.asyncDispose]();
    expect([counts.open, world.clock.pending()]).toEqual([0, 0]);
  });

  test("asked to subscribe, or to have messages and presence read, after its end", async () => {
    const room = await world.node({}, "iterated");
    await room.node.stop();
    await expect(room.node.subscribe("a/b", AWAY)).rejects.toMatchObject({ code: "closed" });
    for await (const _ of room.node.messages()) throw new Error("a message");
    for await (const _ of room.node.presence()) throw new Error("a peer");
    expect(await room.node.probe(AWAY)).toBe(false);
    expect(world.clock.pending()).toBe(0);
  });

  test("stopped while it sends a new subscriber what it keeps of several channels", async () => {
    const room = await world.node({ channels: ["a/b", "a/c", "a/d"], pace: 1 });
    for (const channel of ["a/b", "a/c", "a/d"]) {
      await room.node.publish(channel, text("kept"), { retain: true, qos: 1 });
    }
    const other = await world.node();
    const { host } = room.node.local() ?? AWAY;
    world.network.change({ drop: (_, from) => from.host === host });
    for (const channel of ["a/b", "a/c", "a/d"]) {
      await other.node.subscribe(channel, room.node.local() ?? AWAY);
    }
    await settle(20);
    expect(room.node.status().held.transfers).toBeGreaterThan(0);
    await room.node.stop();
    await settle(20);
    await other.node.stop();
    expect(world.clock.pending()).toBe(0);
  });
});
