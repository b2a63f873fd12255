import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { shortOf } from "../../src/receiving/marks.ts";
import {
  missedOf,
  type NodeMemory,
  readMemory,
  withCurrent,
  withEvent,
  writeMemory,
} from "../../src/receiving/node-memory.ts";
import { MOST_REMEMBERED, seenEvents } from "../../src/receiving/seen-events.ts";

const numRuns = process.env["NOMQ_LONG"] ? 20_000 : 300;
const empty: NodeMemory = { node: "n", channel: "c", events: seenEvents() };
const seen = (ids: Iterable<string>): NodeMemory =>
  [...ids].reduce((memory, id) => withEvent(memory, id, `p${id}`), empty);
const listed = (ids: readonly string[]): { id: string; print: string }[] =>
  ids.map((id) => ({ id, print: `p${id}` }));
const numbered = (from: number, to: number): string[] =>
  Array.from({ length: Math.max(0, to - from) }, (_, n) => `e${from + n}`);

describe("what was missed of a node", () => {
  test("for any outage and any history: each event that is still there once, none twice, in order", () => {
    fc.assert(
      fc.property(fc.nat(150), fc.nat(150), fc.integer({ min: 1, max: 200 }), (before, away, history) => {
        const memory = seen(numbered(0, before));
        const there = numbered(0, before + away).slice(-history);
        const { items, isGap } = missedOf(memory, listed(there));
        expect(items.map(({ id }) => id)).toEqual(there.filter((id) => Number(id.slice(1)) >= before));
        // Nothing is missing unless all that was seen is gone; then something may be.
        if (away > history) expect(isGap).toBe(before > 0);
        if (away < history && before > 0) expect(isGap).toBe(false);
      }),
      { numRuns },
    );
  });

  test("events retracted one by one, up to all but one of those remembered, lose nothing", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: MOST_REMEMBERED - 1 }),
        fc.integer({ min: 1, max: 20 }),
        (gone, news) => {
          const memory = seen(numbered(0, 100));
          const there = [...numbered(0, 100 - gone), ...numbered(100, 100 + news)];
          const { items, isGap } = missedOf(memory, listed(there));
          expect(items.map(({ id }) => id)).toEqual(numbered(100, 100 + news));
          expect(isGap).toBe(false);
        },
      ),
      { numRuns },
    );
  });

  test("what only marks tell of, after a kill, is something seen: all of it gone is a gap, any of it there is none", () => {
    const marked = (ids: readonly string[]): ReadonlyMap<string, string> =>
      new Map(ids.map((id) => [shortOf(id), `p${id}`]));
    const first: NodeMemory = { ...empty, marked: marked(["e0", "e1"]) };
    expect(missedOf(first, listed(["e5", "e6"])).isGap).toBe(true);
    expect(missedOf(first, listed(["e1", "e2"])).isGap).toBe(false);
    const later: NodeMemory = { ...seen(["e0"]), marked: marked(["e1"]) };
    expect(missedOf(later, listed(["e1", "e2"])).isGap).toBe(false);
    expect(missedOf(later, listed(["e2", "e3"])).isGap).toBe(true);
  });

  test("an item that was overwritten is new, wherever the server puts it", () => {
    const memory = seen(["a", "b", "c"]);
    const changed = { id: "a", print: "other" };
    const [b, c] = listed(["b", "c"]);
    if (b === undefined || c === undefined) throw new Error("unreachable");
    expect(missedOf(memory, [b, c, changed]).items).toEqual([changed]);
    expect(missedOf(memory, [changed, b, c]).items).toEqual([changed]);
    expect(missedOf(memory, [{ id: "a", print: "other" }, b, { id: "c", print: "new" }])).toEqual({
      items: [changed, { id: "c", print: "new" }],
      isGap: false,
    });
  });
});

// Made before the tests: fast-check computes a table of all characters first, a second that no test's limit is for.
const text = fc.string({ unit: "grapheme", maxLength: 6 });

describe("a memory that lasts", () => {
  test("comes back as it was", () => {
    fc.assert(
      fc.property(
        text,
        fc.array(fc.tuple(text, text), { maxLength: 100 }),
        fc.boolean(),
        (node, events, isOwn) => {
          let memory: NodeMemory = { ...empty, node };
          for (const [id, print] of events) memory = withEvent(memory, id, print);
          memory = withCurrent(memory, { print: "p", isOwn });
          const { events: others, ...read } = readMemory(writeMemory(memory)) ?? empty;
          expect({ ...read, events: [...others] }).toEqual({ ...memory, events: [...memory.events] });
          expect(memory.events.size).toBeLessThanOrEqual(MOST_REMEMBERED);
        },
      ),
      { numRuns },
    );
  });

  test.each([
    "",
    "null",
    "{}",
    '{"node":1}',
    '{"node":"n","channel":"+","events":[]}',
    '{"node":"n","channel":"c","events":[[1]]}',
  ])("%j is none", (text) => {
    expect(readMemory(Buffer.from(text))).toBeUndefined();
  });
});
