import { describe, expect, test } from "vitest";
import { createFanOut } from "../../src/observe/fan-out.ts";
import { createOrderNumbers, ORDER_MODULUS } from "../../src/observe/order-numbers.ts";
import { isNewer } from "./world.ts";

describe("order numbers", () => {
  test("RFC 7641 §4.4: have 24 bits, wrap, and stay newer by the rule of §3.4", () => {
    const numbers = createOrderNumbers({ start: ORDER_MODULUS - 3, reserve: () => undefined });
    let last = numbers.next();
    for (let at = 0; at < 200_000; at += 1) {
      const next = numbers.next();
      if (next >= ORDER_MODULUS || !isNewer(next, last)) expect([next, last]).toBe("in order");
      last = next;
    }
  });

  test("are reserved before they are used, and a later run begins above", () => {
    let reserved = 0;
    let numbers = createOrderNumbers({ start: 7, reserve: (upTo) => (reserved = upTo) });
    let highest = 0;
    for (let at = 0; at < 100_000; at += 1) {
      highest = numbers.next();
      expect(reserved).toBeGreaterThanOrEqual(highest);
    }
    numbers = createOrderNumbers({ start: 7, reserved, reserve: () => undefined });
    const first = numbers.next();
    expect(first).toBeGreaterThan(highest);
    expect(first - highest).toBeLessThan(ORDER_MODULUS / 2 ** 5);
  });
});

describe("a large fan-out", () => {
  test("gives way to others every few milliseconds, and forgets nobody", async () => {
    let now = 0;
    const had: number[] = [];
    const fanOut = createFanOut<number>(
      (item) => {
        had.push(item);
        now += 0.1;
      },
      () => now,
    );
    for (let item = 0; item < 1_000; item += 1) fanOut.push(item);
    const stretches: number[] = [];
    let before = now;
    fanOut.run();
    while (had.length < 1_000) {
      stretches.push(now - before);
      before = now;
      await new Promise((done) => setImmediate(done));
    }
    expect(had).toEqual([...Array(1_000).keys()]);
    expect(Math.max(...stretches)).toBeLessThan(6);
    expect(stretches.length).toBeGreaterThan(15);
  });

  test("is in turn: who comes while it is behind waits behind the others", async () => {
    let now = 0;
    const had: number[] = [];
    const fanOut = createFanOut<number>(
      (item) => {
        had.push(item);
        now += 1;
        if (item < 200) fanOut.push(item + 200);
      },
      () => now,
    );
    for (let item = 0; item < 200; item += 1) fanOut.push(item);
    for (let turn = 0; turn < 60; turn += 1) await new Promise((done) => setImmediate(done));
    expect(had).toEqual([...Array(400).keys()]);
    fanOut.push(7);
    fanOut.stop();
    await new Promise((done) => setImmediate(done));
    expect(had).toHaveLength(400);
  });
});
