import type { StateChange } from "@nomq/core";
import { createFakeClock, type FakeClock } from "@nomq/core/testing";
import { describe, expect, test } from "vitest";
import {
  createExpiries,
  type Expiries,
  type ItemPlace,
  type Retracted,
} from "../../src/publishing/expiries.ts";

const A: ItemPlace = { node: "node a", item: "current" };

interface Bench {
  readonly clock: FakeClock;
  readonly expiries: Expiries;
  readonly taken: string[];
  /** What lasts. */
  readonly kept: Map<string, Uint8Array>;
  /** How the next retraction ends. */
  end: Retracted;
  write(of: ItemPlace): void;
}

function bench(kept = new Map<string, Uint8Array>(), clock = createFakeClock()): Bench {
  const taken: string[] = [];
  const apply = (changes: readonly StateChange[]): void => {
    for (const { key, value } of changes) {
      if (value === undefined) kept.delete(Buffer.from(key).toString());
      else kept.set(Buffer.from(key).toString(), value);
    }
  };
  const made: Bench = {
    ...{ clock, taken, kept, end: "gone" },
    write: (of) => apply(made.expiries.changes(of)),
    expiries: createExpiries({
      clock,
      async retract({ node, item }) {
        taken.push(`${node} ${item}`);
        return made.end;
      },
      remember: async (changes) => apply(changes),
      overflow: () => taken.push("overflow"),
    }),
  };
  return made;
}

describe("items that expire", () => {
  test("are taken back in the order of their ends, each at its own", async () => {
    const { clock, expiries, taken } = bench();
    expiries.resume();
    expiries.plan({ node: "late", item: "x" }, 2_000);
    expiries.plan({ node: "early", item: "x" }, 1_000);
    await clock.advance(999);
    expect(taken).toEqual([]);
    await clock.advance(1);
    expect(taken).toEqual(["early x"]);
    await clock.advance(1_000);
    expect(taken).toEqual(["early x", "late x"]);
    expect(clock.pending()).toBe(0);
    expect(expiries.size).toBe(0);
  });

  test("are taken back after a restart, those that ended meanwhile at once", async () => {
    const first = bench();
    first.expiries.plan(A, 5_000);
    first.write(A);
    first.expiries.plan({ node: "b", item: "y" }, 60_000);
    first.write({ node: "b", item: "y" });
    expect(first.kept.size).toBe(2);

    await first.clock.advance(10_000);
    const second = bench(first.kept, first.clock);
    for (const [key, value] of first.kept) {
      expect(second.expiries.restore(Buffer.from(key), value, 0)).toBe(true);
    }
    second.expiries.resume();
    await second.clock.advance(0);
    expect(second.taken).toEqual(["node a current"]);
    await second.clock.advance(50_000);
    expect(second.taken).toEqual(["node a current", "b y"]);
    expect(second.kept.size).toBe(0);
  });

  test("are not moved by a clock that was set while nobody ran", async () => {
    const first = bench();
    first.expiries.plan(A, 5_000);
    first.write(A);
    first.clock.step(3_600_000);
    const second = bench(first.kept, first.clock);
    for (const [key, value] of first.kept) second.expiries.restore(Buffer.from(key), value, 3_600_000);
    second.expiries.resume();
    await second.clock.advance(4_999);
    expect(second.taken).toEqual([]);
    await second.clock.advance(1);
    expect(second.taken).toEqual(["node a current"]);
  });

  test("that have been replaced end when the newer one does, or never", async () => {
    const { clock, expiries, taken, kept, write } = bench();
    expiries.resume();
    expiries.plan(A, 1_000);
    write(A);
    expiries.plan(A, 3_000);
    write(A);
    await clock.advance(2_000);
    expect(taken).toEqual([]);
    expiries.plan(A, undefined);
    write(A);
    await clock.advance(60_000);
    expect(taken).toEqual([]);
    expect(kept.size).toBe(0);
  });

  test("keep their end where the newer one was refused", async () => {
    const { clock, expiries, taken } = bench();
    expiries.resume();
    expiries.plan(A, 1_000);
    const undo = expiries.plan(A, undefined);
    undo();
    await clock.advance(1_000);
    expect(taken).toEqual(["node a current"]);
  });

  test("wait while the service is away, and are tried again where it could not", async () => {
    const made = bench();
    made.expiries.plan(A, 1_000);
    await made.clock.advance(5_000);
    expect(made.taken).toEqual([]);
    made.end = "again";
    made.expiries.resume();
    await made.clock.advance(0);
    expect(made.taken).toHaveLength(1);
    made.end = "gone";
    await made.clock.advance(10_000);
    expect(made.taken).toHaveLength(2);
    expect(made.expiries.size).toBe(0);
  });

  test("are at most eight under way at once", async () => {
    const clock = createFakeClock();
    const open: ((end: Retracted) => void)[] = [];
    const expiries = createExpiries({
      ...{ clock, remember: () => Promise.resolve(), overflow: () => undefined },
      retract: () => new Promise((resolve) => open.push(resolve)),
    });
    expiries.resume();
    for (let number = 0; number < 20; number += 1) expiries.plan({ node: `${number}`, item: "x" }, 10);
    await clock.advance(10);
    expect(open).toHaveLength(8);
    for (const resolve of open.splice(0)) resolve("gone");
    await clock.advance(0);
    expect(open).toHaveLength(8);
    expiries.pause();
  });

  test("are 100,000 at most, in memory and in the store: the one planned first is left to lie", async () => {
    const { clock, expiries, kept, taken, write } = bench();
    for (let number = 0; number <= 100_000; number += 1) {
      const item = { node: "a", item: `${number}` };
      expiries.plan(item, 3_600_000);
      write(item);
    }
    await clock.advance(0);
    expect(taken).toEqual(["overflow"]);
    expect([expiries.size, kept.size]).toEqual([100_000, 100_000]);
    expect([...kept.keys()].some((key) => key.startsWith("expiry 0 "))).toBe(false);
  });

  test("leave other keys of the bridge's state alone", () => {
    const { expiries } = bench();
    expect(expiries.restore(Buffer.from("gateway"), Buffer.from("0"), 0)).toBe(false);
    expect(expiries.size).toBe(0);
  });
});
