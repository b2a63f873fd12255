import { describe, expect, test } from "vitest";
import { describeWithPeers } from "../peers.ts";
import { openBook } from "./book.ts";
import { staleAt } from "./checks.ts";
import { openDwindling } from "./dwindling.ts";
import { FILTERS } from "./stage.ts";

/** What a party holds as stale after these arrivals, where a and b were published, and cleared between if asked. */
function staleAfter(
  arrivals: readonly ("a" | "b" | "")[],
  { cleared = "never", isCalm = false }: { cleared?: "between" | "last" | "never"; isCalm?: boolean } = {},
): readonly string[] {
  const book = openBook();
  const letter = { party: "pub5", channel: "r/pub5/0", qos: 1, retain: true } as const;
  const a = book.send(letter);
  const clear = (): void => book.settle(book.send({ ...letter, clears: true }), "acked");
  if (cleared === "between") clear();
  const b = book.send(letter);
  if (cleared === "last") clear();
  book.settle(a, "acked");
  book.settle(b, "acked");
  const ids = { a: a.id, b: b.id, "": "" };
  for (const one of arrivals) book.receive("sub5", { id: ids[one], channel: letter.channel, qos: 1 });
  return staleAt(book, "sub5", isCalm ? 0 : Number.POSITIVE_INFINITY);
}

describe("the proof takes for a party's value", () => {
  test.each([
    { arrivals: ["a", "b"] },
    // What had no stored outcome comes again after a crash, behind what was newer.
    { arrivals: ["a", "b", "a"] },
    { arrivals: ["b", "b"] },
  ] as const)("the last that came for the first time: $arrivals", ({ arrivals }) => {
    expect(staleAfter(arrivals)).toEqual([]);
  });

  test.each([{ arrivals: ["b", "a"] }, { arrivals: ["a"] }, { arrivals: [] }] as const)(
    "nothing newer that never came: $arrivals",
    ({ arrivals }) => {
      expect(staleAfter(arrivals)).toHaveLength(1);
    },
  );

  test("no clear that has come before, but one that comes too late", () => {
    expect(staleAfter(["a", "", "b", ""], { cleared: "between" })).toEqual([]);
    expect(staleAfter(["a", "b", ""], { cleared: "between" })).toHaveLength(1);
  });

  test("the clear that is kept, however often nothing has been said before", () => {
    expect(staleAfter(["", "a", "", "b", "", "a"], { cleared: "last" })).toEqual([]);
    expect(staleAfter(["a", "", "b"], { cleared: "last" })).toHaveLength(1);
  });

  test("what came last of all, where nothing may come again", () => {
    expect(staleAfter(["a", "a", "b", "b"], { isCalm: true })).toEqual([]);
    expect(staleAfter(["a", "b", "a"], { isCalm: true })).toHaveLength(1);
    expect(staleAfter(["a", "", "b", ""], { isCalm: true, cleared: "between" })).toHaveLength(1);
    expect(staleAfter(["a", "b", "", "b"], { isCalm: true, cleared: "last" })).toHaveLength(1);
    expect(staleAfter(["a", "b", "", ""], { isCalm: true, cleared: "last" })).toEqual([]);
  });
});

test("what is waited for may take as long as it goes on, and not longer", async () => {
  const book = openBook();
  const left = openDwindling();
  let rounds = 5;
  // Asked at the call and then ten times a second: each time after more than is waited for.
  const isOver = (): boolean => {
    rounds -= 1;
    return left.note(rounds) === 0;
  };
  await book.until(isOver, { missing: () => "more", within: 90, since: () => left.lessAt });
  const stuck = openDwindling();
  const waiting = { missing: () => "one is missing", within: 1, since: () => stuck.lessAt };
  await expect(book.until(() => stuck.note(1) === 0, waiting)).rejects.toThrow("one is missing");
});

describeWithPeers("an XMPP server among the parties", ["prosody", "openssl"], () => {
  test("has somebody who reads what the gateway writes there", () => {
    expect(FILTERS["jabber"]).toEqual(["s/#", "r/+/1"]);
  });
});
