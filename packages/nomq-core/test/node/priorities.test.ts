import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Qos } from "../../src/index.ts";
import { settle } from "../../src/testing/index.ts";
import { createWorld, text } from "./node-room.ts";

const CHANNELS = ["a/b", "c", "d"];

describe("what waits for one device", () => {
  test("leaves by priority: the highest first, then in order", async () => {
    const world = createWorld();
    const room = await world.node();
    const device = world.device({ channels: CHANNELS });
    await device.publish({ channel: "a/b", message: "here I am" }, room.node.local() ?? device.local);
    await settle();
    const sends = [
      ["a/b", 0],
      ["c", 3],
      ["d", 15],
      ["c", 0],
    ] as const;
    for (const [at, [channel, priority]] of sends.entries()) {
      void room.node.publish(channel, text(`m${at}`), { to: device.local, priority });
    }
    await world.clock.advance(3000);
    expect(device.delivered.map((one) => one.text)).toEqual(["m0", "m2", "m1", "m3"]);
    await world.stop();
  });

  test("an answer leaves before all of it", async () => {
    const world = createWorld();
    const room = await world.node();
    const device = world.device();
    const to = room.node.local() ?? device.local;
    await device.publish({ channel: "a/b", message: "here I am" }, to);
    await settle();
    for (let at = 0; at < 5; at += 1) {
      void room.node.publish("a/b", text(`m${at}`), { to: device.local, priority: 15 });
    }
    await settle();
    const before = device.received.length;
    await device.publish({ channel: "a/b", message: "ask", qos: 1 }, to);
    await settle();
    expect(device.received.slice(before).map(({ datagram }) => datagram[3])).toEqual([3]);
    await world.stop();
  });

  test("never overtakes within one channel, whatever the priorities and QoS", async () => {
    const message = fc.record({
      channel: fc.constantFrom(...CHANNELS),
      priority: fc.integer({ min: 0, max: 15 }),
      qos: fc.constantFrom<Qos>(0, 1),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(message, { minLength: 2, maxLength: 20 }), async (messages) => {
        const world = createWorld();
        const room = await world.node();
        const device = world.device({ channels: CHANNELS });
        await device.publish({ channel: "a/b", message: "here I am" }, room.node.local() ?? device.local);
        await settle();
        for (const [at, { channel, priority, qos }] of messages.entries()) {
          void room.node.publish(channel, text(String(at)), { to: device.local, priority, qos });
        }
        await world.clock.advance(20_000);
        expect(device.delivered).toHaveLength(messages.length);
        for (const channel of CHANNELS) {
          const order = device.delivered
            .filter((one) => one.channel === channel)
            .map((one) => Number(one.text));
          expect(order).toEqual([...order].sort((one, other) => one - other));
        }
        await world.stop();
      }),
      { numRuns: process.env["NOMQ_LONG"] === undefined ? 15 : 300, seed: 21 },
    );
  });
});
