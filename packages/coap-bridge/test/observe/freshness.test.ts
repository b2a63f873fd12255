import { describe, expect, test } from "vitest";
import { MessageType } from "../../src/wire/coap-message.ts";
import { Response } from "../../src/wire/code.ts";
import { ANN, BEN, createWorld, texts } from "./world.ts";

const EVENT = { retain: false };

describe("Max-Age", () => {
  test("without TTL the value is said again before it runs out", async () => {
    await using world = await createWorld({ limits: { refreshMs: 60_000 } });
    await world.publish("x", "1");
    await world.register(ANN, "a", "x");
    await world.clock.advance(50_000);
    expect(await world.hear()).toEqual([]);
    await world.clock.advance(9_999);
    expect(texts(await world.hear())).toEqual(["1"]);
    await world.clock.advance(40_000);
    await world.publish("x", "2");
    await world.hear();
    await world.clock.advance(50_000);
    expect(await world.hear()).toEqual([]);
    expect(world.observers.counts()).toMatchObject({ refreshes: 1, ledger: { accepted: 1 } });
  });

  test("with TTL it is not said again until it is over; then an empty 2.05, and the relation goes on", async () => {
    await using world = await createWorld({ limits: { checkMs: 600_000 } });
    await world.publish("x", "1", { ttlMs: 200_000 });
    await world.register(ANN, "a", "x");
    await world.clock.advance(199_000);
    expect(await world.hear()).toEqual([]);
    await world.clock.advance(1_100);
    expect(await world.hear()).toMatchObject([{ code: Response.content, text: "" }]);
    expect(world.observers.counts().refreshes).toBe(0);
    expect((await world.register(BEN, "b", "x")).text).toBe("");
    await world.publish("x", "2");
    expect(texts(await world.hear())).toEqual(["2", "2"]);
  });

  test("a value that is over is an empty 2.05 on time though an event was told meanwhile", async () => {
    await using world = await createWorld();
    await world.publish("x", "state", { ttlMs: 20_000 });
    await world.register(ANN, "a", "x");
    await world.publish("x", "event", EVENT);
    expect(texts(await world.hear())).toEqual(["event"]);
    await world.clock.advance(20_100);
    expect(texts(await world.hear())).toEqual([""]);
  });

  test("what expires while it waits is not said any more, but what a GET answers then", async () => {
    await using world = await createWorld();
    await world.publish("x", "state");
    await world.register(ANN, "a", "x");
    await world.publish("x", "1");
    await world.publish("x", "short", { ...EVENT, ttlMs: 1_000 });
    await world.clock.advance(2_000);
    for (const one of await world.take()) one.acknowledge();
    expect(texts(await world.hear())).toEqual(["1"]);
    expect(world.observers.counts().ledger).toMatchObject({
      accepted: 2,
      delivered: 1,
      expired: 1,
      pending: 0,
    });
  });

  test("TTL 0 is told to those who can hear it now", async () => {
    await using world = await createWorld();
    await world.register(ANN, "a", "x");
    await world.publish("x", "now", { ...EVENT, ttlMs: 0, qos: 0 });
    expect(texts(await world.hear())).toEqual(["now"]);
  });

  test("a step of the wall clock moves no expiry", async () => {
    await using world = await createWorld();
    await world.publish("x", "1", { ttlMs: 100_000 });
    await world.register(ANN, "a", "x");
    world.clock.step(3_600_000);
    await world.clock.advance(50_000);
    expect(texts(await world.hear())).not.toContain("");
    await world.clock.advance(60_000);
    expect(texts(await world.hear()).at(-1)).toBe("");
  });
});

describe("a NON observer", () => {
  const limits = { refreshMs: 60_000, checkMs: 300_000 };

  test("is asked by a CON at least every observer check, and keeps hearing NON between", async () => {
    await using world = await createWorld({ limits });
    await world.register(ANN, "a", "x", { confirmable: false });
    let since = 0;
    let asked = 0;
    for (let second = 10; second <= 1_200; second += 10) {
      await world.publish("x", `${second}`);
      await world.clock.advance(10_000);
      since += 10_000;
      for (const one of await world.take()) {
        if (one.type !== MessageType.confirmable) continue;
        expect(since).toBeLessThanOrEqual(limits.checkMs);
        since = 0;
        asked += 1;
        one.acknowledge();
      }
    }
    expect(asked).toBeGreaterThanOrEqual(4);
    expect(asked).toBeLessThanOrEqual(6);
  });

  test.each([{}, { ttlMs: 10_000_000 }])("is asked also where nothing changes (%o)", async (more) => {
    await using world = await createWorld({ limits });
    await world.publish("x", "1", more);
    await world.register(ANN, "a", "x", { confirmable: false });
    let since = 0;
    for (let second = 10; second <= 1_000; second += 10) {
      await world.clock.advance(10_000);
      since += 10_000;
      expect(since).toBeLessThanOrEqual(limits.checkMs);
      for (const one of await world.take()) {
        if (one.type !== MessageType.confirmable) continue;
        since = 0;
        one.acknowledge();
      }
    }
  });

  test("that does not answer the question is gone, and hears nothing while it is asked", async () => {
    await using world = await createWorld({ limits });
    await world.register(ANN, "a", "x", { confirmable: false });
    await world.clock.advance(limits.checkMs);
    await world.take();
    await world.publish("x", "1");
    expect(await world.take()).toEqual([]);
    world.net.timeOut();
    expect(world.observers.counts()).toMatchObject({ observers: 0, ended: { timeout: 1 } });
  });
});
