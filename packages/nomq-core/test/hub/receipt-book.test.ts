import fc from "fast-check";
import { expect, test } from "vitest";
import type { FinalOutcome, Receipt } from "../../src/bridge.ts";
import { ReceiptBook } from "../../src/hub/memory/receipt-book.ts";
import type { Message } from "../../src/message.ts";

const idOf = (seq: number): string => "f".repeat(16) + seq.toString(16).padStart(16, "0");
const messageOf = (seq: number, id = idOf(seq)): Message => ({
  ...{ id, seq, channel: `c/${seq}`, payload: new Uint8Array(1), qos: 1, retain: false, priority: 0 },
  ...{ publishedAt: seq, origin: "test" },
});

interface Step {
  readonly seq: number;
  readonly settles: boolean;
}

/** Receipts in a map by id, the lowest number going first. */
function naive(most: number) {
  const pages = new Map<number, { ended: FinalOutcome | undefined }>();
  return {
    open(seq: number): void {
      pages.set(seq, { ended: undefined });
      if (pages.size > most) pages.delete(Math.min(...[...pages.keys()].filter((known) => known !== seq)));
    },
    settle(seq: number): void {
      const page = pages.get(seq);
      if (page !== undefined) page.ended = "delivered";
    },
    receipt(seq: number): Receipt | undefined {
      const page = pages.get(seq);
      if (page === undefined) return undefined;
      const is = page.ended ?? ("pending" as const);
      const at = is === "delivered" ? ("delivered" as const) : ("stored" as const);
      return { id: idOf(seq), channel: `c/${seq}`, at, outcomes: [{ attachment: "a", is, at: seq }] };
    },
  };
}

test("keeps the newest receipts, whatever order they come in, as a map would", () => {
  const steps = fc.array(fc.record({ seq: fc.nat(60), settles: fc.boolean() }), { maxLength: 200 });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 20 }), steps, (most, all: readonly Step[]) => {
      const book = new ReceiptBook(most);
      const map = naive(most);
      const opened = new Set<number>();
      let base = 0;
      for (const { seq, settles } of all) {
        // Rising on the whole, as a hub's numbers are; each is used once.
        base += 3;
        const number = base + seq;
        if (opened.has(number)) continue;
        opened.add(number);
        book.open(messageOf(number), ["a"]);
        map.open(number);
        if (settles) {
          const one = [...opened][seq % opened.size] ?? number;
          book.settle(messageOf(one), { name: "a", is: "delivered", at: one });
          map.settle(one);
        }
      }
      for (const number of opened) expect(book.receipt(idOf(number))).toEqual(map.receipt(number));
    }),
    { numRuns: process.env["NOMQ_LONG"] ? 5_000 : 100, seed: 1 },
  );
});

test("grows to its bound, and goes round from there", () => {
  const book = new ReceiptBook(3_000);
  for (let seq = 1; seq <= 10_000; seq += 1) book.open(messageOf(seq), []);
  const known = [7_000, 7_001, 10_000, 10_001].map((seq) => book.receipt(idOf(seq))?.channel);
  expect(known).toEqual([undefined, "c/7001", "c/10000", undefined]);
});

test("an id that says nothing of its number is found all the same; another run's with the same number is not", () => {
  const book = new ReceiptBook(10);
  book.open(messageOf(5, "mine"), []);
  book.open(messageOf(6), []);
  expect(book.receipt("mine")?.channel).toBe("c/5");
  expect(book.receipt(`${"0".repeat(16)}${idOf(6).slice(16)}`)).toBeUndefined();
  expect(new ReceiptBook(0).receipt("mine")).toBeUndefined();
});
