import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { PublishOutcome } from "../../src/index.ts";
import { runs } from "../packet/arbitraries.ts";
import { broadcast, EPOCH_2000, spy } from "./broadcast-room.ts";
import { createWorld, text, until, type World } from "./node-room.ts";

let world: World;
beforeEach(() => {
  world = createWorld();
});
afterEach(async () => {
  await world.stop();
  expect(world.clock.pending()).toBe(0);
});

describe("waiting for its turn", () => {
  test("a broadcast expires, is given up, and ends with the node", async () => {
    const room = await world.node({ pace: 1 });
    const seen = spy(world);
    const giveUp = new AbortController();
    const outcomes = [
      room.node.broadcast("a/b", text("sent")),
      room.node.broadcast("a/b", text("late"), { ttl: 1.5 }),
      room.node.broadcast("a/b", text("aborted"), { signal: giveUp.signal }),
      room.node.broadcast("a/b", text("half"), { ttl: 3.5, clocks: [0, 1, 2] }),
      room.node.broadcast("a/b", text("never")),
      room.node.broadcast("a/b", text("now"), { ttl: 0, signal: AbortSignal.abort() }),
    ];
    giveUp.abort();
    await world.clock.advance(4500);
    await room.node.stop();
    expect(await Promise.all(outcomes)).toEqual([
      { is: "delivered", packetId: 0, sessionId: 0, sent: true },
      { is: "expired", packetId: 0, sessionId: 0, sent: false },
      { is: "unanswered", reason: "aborted", packetId: 0, sessionId: 0, sent: false },
      { is: "expired", packetId: 0, sessionId: 0, sent: true },
      { is: "unanswered", reason: "closed", packetId: 0, sessionId: 0, sent: true },
      { is: "unanswered", reason: "aborted", packetId: 0, sessionId: 0, sent: false },
    ]);
    expect(seen.map((one) => one.text)).toEqual(["sent", "sent", "half", "half", "never"]);
  });

  test("the copies say what time is left when they leave, and when that is", async () => {
    const room = await world.node({ pace: 1 });
    const seen = spy(world);
    void room.node.broadcast("a/b", text("first"));
    void room.node.broadcast("a/b", text("second"), { ttl: 60, clocks: [0, 7] });
    void room.node.broadcast("a/b", text("now"), { ttl: 0, clocks: [0] });
    await world.clock.advance(10_000);
    expect(seen.map(({ text: said, clock, ttl }) => [said, clock, ttl])).toEqual([
      ["first", 0, 3600],
      ["first", EPOCH_2000, 3600],
      ["second", 0, 58],
      ["second", 7, 57],
    ]);
  });

  test("the most urgent channel goes first, and no message overtakes one of its own channel", async () => {
    const room = await world.node();
    const seen = spy(world);
    const messages = [
      ["x", 0],
      ["a", 1],
      ["b", 5],
      ["a", 15],
      ["b", 9],
      ["c", 5],
    ] as const;
    for (const [channel, priority] of messages) {
      void room.node.broadcast(channel, text(`${channel}${priority}`), { priority, clocks: [0] });
    }
    await world.clock.advance(5000);
    expect(seen.map((one) => one.text)).toEqual(["x0", "b5", "b9", "c5", "a1", "a15"]);
  });

  test("broadcasts given up beforehand take up no address for ever", async () => {
    const room = await world.node();
    for (let at = 1; at < 100; at += 1) {
      const to = { host: `10.0.${at}.255`, port: 8888 };
      await room.node.broadcast("a/b", text("m"), { to, signal: AbortSignal.abort() });
    }
    expect((await broadcast(world, room)).is).toBe("delivered");
  });

  test("64 wait for an address, one more is told so; there is room for another address", async () => {
    const room = await world.node();
    const outcomes = Array.from({ length: 70 }, () => room.node.broadcast("a/b", text("m")));
    const elsewhere = await broadcast(world, room, { to: { host: "10.7.7.255", port: 8888 } });
    expect(elsewhere.is).toBe("delivered");
    await world.clock.advance(30_000);
    const all = await Promise.all(outcomes);
    expect(all.filter(({ is }) => is === "delivered")).toHaveLength(64);
    expect(all.slice(64)).toEqual(
      Array.from({ length: 6 }, () => ({
        is: "refused",
        reason: "busy",
        packetId: 0,
        sessionId: 0,
        sent: false,
      })),
    );
  });

  test("all addresses of a port take turns, for a device may hear each; another port is not concerned", async () => {
    const room = await world.node();
    const sentTo = new Map<string, number>();
    const hosts = ["255.255.255.255", "10.0.0.255", "10.7.7.255"];
    for (const port of [8888, 9999]) {
      for (const host of hosts) {
        const to = { host, port };
        for (let at = 0; at < 20; at += 1) {
          void room.node.broadcast("a/b", text(`${at}`), { to }).then(({ is }) => {
            if (is === "delivered") sentTo.set(`${host}:${port}`, (sentTo.get(`${host}:${port}`) ?? 0) + 1);
          });
        }
      }
    }
    await world.clock.advance(12_100);
    // 5 a second on each of two ports, two copies of each message, and no address waits for another's end.
    expect(room.node.status().sent).toBeLessThanOrEqual(2 * (12 * 5 + 1));
    expect(room.node.status().sent).toBeGreaterThanOrEqual(2 * (12 * 5 - 1));
    expect(sentTo.size).toBe(6);
    for (const count of sentTo.values()) expect(count).toBeGreaterThanOrEqual(9);
  });

  test("unicast to a device gives way to broadcasts, but is not starved by them", async () => {
    const room = await world.node({ peers: [{ name: "pump", address: { host: "10.0.0.99", port: 8888 } }] });
    const device = world.device({
      paced: true,
      transport: world.network.open({ host: "10.0.0.99", port: 8888 }),
    });
    for (let at = 0; at < 60; at += 1) void room.node.broadcast("x", text(`${at}`));
    await world.clock.advance(1000);
    const begun = world.clock.monotonic();
    const direct = room.node.publish("a/b", text("direct"), { to: "pump", qos: 1 });
    await until(world.clock, () => device.delivered.length > 0);
    expect(world.clock.monotonic() - begun).toBeLessThanOrEqual(1300);
    expect((await direct).is).toBe("delivered");
  });
});

test("never more than 5 datagrams a second to one address, and each channel in order", async () => {
  const message = fc.record({
    channel: fc.constantFrom("a", "b", "c"),
    priority: fc.integer({ min: 0, max: 15 }),
    wait: fc.integer({ min: 0, max: 700 }),
  });
  const pace = fc.constantFrom(0.5, 1, 3, 5, 100);
  await fc.assert(
    fc.asyncProperty(
      fc.array(message, { minLength: 1, maxLength: 30 }),
      pace,
      async (messages, perSecond) => {
        const before = world;
        world = createWorld();
        const room = await world.node({ pace: perSecond });
        const seen = spy(world);
        const outcomes: Promise<PublishOutcome>[] = [];
        for (const [at, { channel, priority, wait }] of messages.entries()) {
          outcomes.push(room.node.broadcast(channel, text(`${channel} ${at}`), { priority }));
          await world.clock.advance(wait);
        }
        await world.clock.advance(200_000);
        expect((await Promise.all(outcomes)).every(({ is }) => is === "delivered")).toBe(true);
        const gaps = seen.slice(1).map(({ at }, index) => at - (seen[index]?.at ?? 0));
        expect(Math.min(...gaps, Number.POSITIVE_INFINITY)).toBeGreaterThanOrEqual(
          1000 / Math.min(perSecond, 5) - 1e-6,
        );
        for (const channel of ["a", "b", "c"]) {
          const expected = messages.flatMap((one, at) =>
            one.channel === channel ? [`${channel} ${at}`] : [],
          );
          const copies = seen.map((one) => one.text).filter((said) => said.startsWith(channel));
          expect(copies).toEqual(expected.flatMap((said) => [said, said]));
        }
        await world.stop();
        expect(world.clock.pending()).toBe(0);
        world = before;
      },
    ),
    runs(300, 15),
  );
});
