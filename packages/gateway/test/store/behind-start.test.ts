import { describe, expect, test } from "vitest";
import { HistoryIndex } from "../../src/store/image/history-index.ts";
import { References } from "../../src/store/image/references.ts";
import { RetainedIndex } from "../../src/store/image/retained-index.ts";
import { SeqCounts } from "../../src/store/image/seq-counts.ts";

// What is learnt behind the start meets what has changed meanwhile.
describe("references", () => {
  test("of an earlier run are given up once they are counted, and only the last lets the body go", () => {
    const references = new References();
    expect([
      references.release(1),
      references.release(2),
      references.release(2),
      references.release(3),
    ]).toEqual([false, false, false, false]);
    const old = new SeqCounts([
      [1, 1],
      [2, 2],
      [3, 2],
    ]);
    for (const _ of old.forgetSingles());
    expect(references.counted(old)).toEqual([1, 2]);
    expect(references.release(3)).toBe(true);
  });

  test("of this run need no counting", () => {
    const references = new References();
    references.add(10, 1);
    references.add(11, 2);
    expect([references.release(10), references.release(11), references.release(11)]).toEqual([
      true,
      false,
      true,
    ]);
    references.add(12, 2);
    expect(references.counted(new SeqCounts())).toEqual([]);
    expect([references.release(12), references.release(12)]).toEqual([false, true]);
  });
});

describe("history", () => {
  const rules = [
    { filter: "none/#", last: 0, forMs: 0 },
    { filter: "#", last: 2, forMs: 1_000 },
  ];
  const limits = { rules, channels: 2, messages: 100 };
  const past = (seq: number): { seq: number; at: number } => ({ seq, at: seq });
  const gone = (channel: string, ...seqs: number[]): unknown => seqs.map((seq) => ({ channel, seq }));

  test("of an earlier run stands before this run's, and nothing goes before it is known", () => {
    const history = new HistoryIndex(limits);
    for (const [channel, seq] of [
      ["a", 10],
      ["b", 11],
      ["a", 12],
      ["a", 13],
    ] as const)
      expect(history.add(channel, past(seq), 0)).toEqual([]);
    expect(history.expired(5_000, 9)).toEqual([]);
    history.load(
      new Map([
        ["a", [past(1), past(2)]],
        ["c", [past(3)]],
      ]),
    );
    expect(history.add("a", past(14), 0)).toEqual([gone("a", 1, 2, 10, 12), gone("c", 3)].flat());
    expect(history.add("d", past(15), 0)).toEqual(gone("b", 11));
  });

  test("goes by its time, a page at a time, and all of it where its rule has gone", () => {
    const history = new HistoryIndex({ ...limits, channels: 10 });
    history.load(
      new Map([
        ["a", [past(1), past(500)]],
        ["b", [past(2), past(3), past(4)]],
        ["none/c", [past(5)]],
      ]),
    );
    expect([history.keeps("a"), history.keeps("none/c"), history.keeps("none")]).toEqual([
      true,
      false,
      false,
    ]);
    expect(history.expired(100, 2)).toEqual([gone("b", 2), gone("none/c", 5)].flat());
    expect(history.expired(1_100, 9)).toEqual([gone("b", 3, 4), gone("a", 1)].flat());
    expect(history.expired(1_500, 9)).toEqual([]);
    // A clock set back ends nothing; what comes from a clock that was ahead ends with its number.
    expect(history.add("a", past(9_000), 1_000)).toEqual([]);
    expect(history.add("a", past(1_001), 1_000)).toEqual(gone("a", 500));
  });

  test("of all channels together is bounded: the channel heard of longest ago gives up its oldest", () => {
    const history = new HistoryIndex({ ...limits, channels: 10, messages: 3 });
    history.load(new Map());
    for (const [channel, seq] of [
      ["a", 1],
      ["a", 2],
      ["b", 3],
    ] as const)
      expect(history.add(channel, past(seq), 0)).toEqual([]);
    expect(history.add("b", past(4), 0)).toEqual(gone("a", 1));
    expect(history.add("c", past(5), 0)).toEqual(gone("a", 2));
    expect(history.add("c", past(6), 0)).toEqual(gone("b", 3));
  });
});

describe("retained channels", () => {
  test("of an earlier run do not undo what this run has done", () => {
    const retained = new RetainedIndex(2);
    retained.set("set now");
    expect(retained.bury("cleared now")).toBeUndefined();
    for (const channel of ["cleared now", "kept"]) retained.loadValue(channel);
    retained.loaded(["set now", "older", "old"]);
    expect(retained.all()).toEqual(["cleared now", "kept", "old", "older", "set now"]);
    expect(
      ["set now", "cleared now", "old", "kept"].filter((channel) => retained.isTombstone(channel)),
    ).toEqual(["cleared now", "old"]);
    expect([retained.bury("kept"), retained.bury("set now")]).toEqual(["older", "old"]);
  });
});
