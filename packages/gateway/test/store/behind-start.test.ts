import { describe, expect, test } from "vitest";
import { HistoryIndex } from "../../src/store/image/history-index.ts";
import { References } from "../../src/store/image/references.ts";
import { RetainedIndex } from "../../src/store/image/retained-index.ts";

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
    const old = new Map([
      [1, 1],
      [2, 2],
      [3, 2],
    ]);
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
    expect(references.counted(new Map())).toEqual([]);
    expect([references.release(12), references.release(12)]).toEqual([false, true]);
  });
});

describe("history", () => {
  test("of an earlier run stands before this run's, and nothing goes before it is known", () => {
    const history = new HistoryIndex({ last: 2, channels: 2 });
    expect([history.add("a", 10), history.add("b", 11), history.add("a", 12), history.add("a", 13)]).toEqual([
      [],
      [],
      [],
      [],
    ]);
    history.load(
      new Map([
        ["a", [1, 2]],
        ["c", [3]],
      ]),
    );
    const gone = (channel: string, ...seqs: number[]): unknown => seqs.map((seq) => ({ channel, seq }));
    expect(history.add("a", 14)).toEqual([
      ...[1, 2, 10, 12].map((seq) => ({ channel: "a", seq })),
      ...[3].map((seq) => ({ channel: "c", seq })),
    ]);
    expect(history.add("d", 15)).toEqual(gone("b", 11));
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
