import type { HistoryRule, Message, Write } from "@nomq/core";
import {
  batchOf,
  collected,
  createFakeClock,
  interestWrite,
  messageWrite,
  storedMessage,
} from "@nomq/core/testing";
import { describe, expect, test } from "vitest";
import { checkStore } from "../../src/store/index.ts";
import { bytesIn, leftBy, makeStore, testFolder } from "./folders.ts";

const isLong = process.env["NOMQ_LONG"] !== undefined;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

const many = (first: number, count: number, given: (at: number) => Partial<Message>): Message[] =>
  Array.from({ length: count }, (_, at) => storedMessage(first + at, given(at)));

const ends = (name: string, messages: readonly Message[]): Write[] =>
  messages.map(({ seq }) => ({ write: "outcome", name, seq, is: "delivered", at: 1 }));

describe("what has expired", () => {
  test("a retained value becomes a tombstone; a later value of its channel stays", async () => {
    await using folder = await testFolder();
    const clock = createFakeClock();
    await using store = makeStore(folder.path, { clock });
    const { seq } = await store.open();
    const value = (at: number, channel: string, expiresAt?: number): Write =>
      messageWrite(
        storedMessage(seq + at, { channel, retain: true, ...(expiresAt === undefined ? {} : { expiresAt }) }),
      );
    const soon = clock.now() + 1_000;
    await store.commit(
      batchOf([value(0, "a", soon), value(1, "b", soon), value(2, "c", soon), value(3, "d")]),
    );
    await store.commit(batchOf([value(4, "b", clock.now() + DAY_MS), value(5, "c")]));
    await store.tidy();
    expect(await store.latest("a")).toBeDefined();
    await clock.advance(1_000);
    await store.tidy();
    expect(await store.latest("a")).toBeUndefined();
    const left = await store.retained(["#"], { limit: 9, tombstones: true });
    expect(left.map(({ channel, payload }) => [channel, payload.length > 0])).toEqual([
      ["a", false],
      ["b", true],
      ["c", true],
      ["d", true],
    ]);
  });

  test("is gone when it expired while the store was closed", async () => {
    await using folder = await testFolder();
    const clock = createFakeClock();
    const first = makeStore(folder.path, { clock });
    const { seq } = await first.open();
    const expiresAt = clock.now() + 1_000;
    const offers = many(seq, 600, (at) => ({ channel: `c/${at}`, retain: true, expiresAt })).map((one) =>
      messageWrite(one),
    );
    await first.commit(batchOf(offers));
    await first[Symbol.asyncDispose]();
    await clock.advance(2_000);
    await using store = makeStore(folder.path, { clock });
    await store.open();
    await store.tidy();
    expect(await store.retained(["#"], { limit: 1_000 })).toEqual([]);
    expect(await store.retained(["#"], { limit: 1_000, tombstones: true })).toHaveLength(600);
  });

  test("a clock set back ends nothing early and keeps transfers", async () => {
    await using folder = await testFolder();
    const clock = createFakeClock();
    await using store = makeStore(folder.path, { clock });
    const { seq } = await store.open();
    const expiresAt = clock.now() + HOUR_MS;
    await store.commit(batchOf([messageWrite(storedMessage(seq, { retain: true, expiresAt }), [], "t/1")]));
    clock.step(-2 * DAY_MS);
    await store.commit(batchOf([messageWrite(storedMessage(seq + 1), [], "t/2")]));
    await clock.advance(2 * HOUR_MS);
    await store.tidy();
    expect(await store.latest("a/b")).toBeDefined();
    expect(await store.receipt(storedMessage(seq).id)).toBeDefined();
    expect((await store.open()).once.map(([key]) => key)).toEqual(["t/1", "t/2"]);
  });

  test("a transfer's name goes after 24 hours, unless it stands for a later one", async () => {
    await using folder = await testFolder();
    const clock = createFakeClock();
    await using store = makeStore(folder.path, { clock });
    const { seq } = await store.open();
    const offer = (at: number, once: string): Write => messageWrite(storedMessage(seq + at), [], once);
    await store.commit(batchOf([offer(0, "old"), offer(1, "again")]));
    await clock.advance(12 * HOUR_MS);
    await store.commit(batchOf([], [{ write: "release", once: "again" }]));
    await store.commit(batchOf([offer(2, "again"), offer(3, "new")]));
    await clock.advance(13 * HOUR_MS);
    await store.tidy();
    expect((await store.open()).once.map(([key]) => key)).toEqual(["again", "new"]);
  });

  test("receipts go with their outcomes after their time, and the oldest of too many", async () => {
    await using folder = await testFolder();
    const clock = createFakeClock();
    const receipts = { forMs: HOUR_MS, most: 300 };
    const store = makeStore(folder.path, { clock, receipts });
    const { seq } = await store.open();
    const messages = many(seq, 900, () => ({}));
    for (let at = 0; at < messages.length; at += 30) {
      const some = messages.slice(at, at + 30);
      const writes = some.map((message) => messageWrite(message, ["one"]));
      await store.commit(batchOf(writes, ends("one", some.slice(0, 9))));
    }
    await store.commit(batchOf([], ends("one", messages)));
    await store.tidy();
    const kept = [];
    for (const { id } of messages) if ((await store.receipt(id))?.at === "delivered") kept.push(id);
    // They go by 256 numbers.
    expect(kept.length).toBeGreaterThanOrEqual(300);
    expect(kept.length).toBeLessThan(300 + 256);
    expect(kept).toEqual(messages.slice(-kept.length).map(({ id }) => id));
    await clock.advance(2 * HOUR_MS);
    await store.tidy();
    for (const { id } of messages) expect(await store.receipt(id)).toBeUndefined();
    await store[Symbol.asyncDispose]();
    expect(await checkStore(folder.path)).toMatchObject({ faults: [], receipts: 0 });
  });
});

describe("limits", () => {
  test("the longest cleared channel's tombstone goes first", async () => {
    await using folder = await testFolder();
    const store = makeStore(folder.path, { tombstones: 3 });
    const { seq } = await store.open();
    const clear = (at: number, channel: string): Write =>
      messageWrite(storedMessage(seq + at, { channel, retain: true, payload: new Uint8Array() }));
    await store.commit(batchOf(["e", "d"].map((channel, at) => clear(at, channel))));
    await store[Symbol.asyncDispose]();
    await using again = makeStore(folder.path, { tombstones: 3 });
    await again.open();
    await again.tidy();
    await again.commit(batchOf(["c", "b", "a"].map((channel, at) => clear(at + 10, channel))));
    const left = await again.retained(["#"], { limit: 9, tombstones: true });
    expect(left.map(({ channel }) => channel)).toEqual(["a", "b", "c"]);
  });

  test("the history of the channel heard of longest ago goes first, with its bodies", async () => {
    await using folder = await testFolder();
    const history = [{ filter: "#", last: 2, forMs: HOUR_MS }];
    const limits = { history, historyLimits: { channels: 2 } };
    const store = makeStore(folder.path, limits);
    const { seq } = await store.open();
    for (const [at, channel] of ["a", "a", "a", "b", "a"].entries())
      await store.commit(batchOf([messageWrite(storedMessage(seq + at, { channel }))]));
    await store[Symbol.asyncDispose]();
    const again = makeStore(folder.path, limits);
    await again.open();
    await again.tidy();
    await again.commit(batchOf([messageWrite(storedMessage(seq + 5, { channel: "c" }))]));
    const seqs = async (channel: string): Promise<number[]> =>
      (await collected(again.history(channel, {}))).map((message) => message.seq - seq);
    expect([await seqs("a"), await seqs("b"), await seqs("c")]).toEqual([[2, 4], [], [5]]);
    await again[Symbol.asyncDispose]();
    expect(await checkStore(folder.path)).toMatchObject({ faults: [], messages: 3, leftover: 0 });
  });

  test("history ends with its time: unread at once, and gone with its bodies at the next upkeep", async () => {
    await using folder = await testFolder();
    const clock = createFakeClock();
    const history = [{ filter: "#", last: 1_000, forMs: HOUR_MS }];
    const store = makeStore(folder.path, { clock, history });
    const { seq } = await store.open();
    const offers = many(seq, 700, () => ({ publishedAt: clock.now() })).map((one) => messageWrite(one));
    await store.commit(batchOf(offers));
    expect(await collected(store.history("a/b", {}))).toHaveLength(700);
    expect(await collected(store.history("a/b", { last: 300 }))).toHaveLength(300);
    await clock.advance(HOUR_MS + 1);
    expect(await collected(store.history("a/b", {}))).toEqual([]);
    await store.tidy();
    await store[Symbol.asyncDispose]();
    expect(await checkStore(folder.path)).toMatchObject({ faults: [], messages: 0, leftover: 0 });
  });

  test("the first rule that matches a channel says how much history it has, and a changed one what goes", async () => {
    await using folder = await testFolder();
    const clock = createFakeClock();
    const rule = (filter: string, last: number): HistoryRule => ({ filter, last, forMs: DAY_MS });
    const store = makeStore(folder.path, { clock, history: [rule("a/#", 3), rule("b", 0), rule("+", 5)] });
    const { seq } = await store.open();
    for (const [at, channel] of ["a/x", "b", "c", "d/e"].entries())
      await store.commit(
        batchOf(many(seq + at * 10, 6, () => ({ channel })).map((one) => messageWrite(one))),
      );
    const counts = async (of: typeof store): Promise<number[]> => {
      const all = ["a/x", "b", "c", "d/e"].map((channel) => collected(of.history(channel, {})));
      return (await Promise.all(all)).map(({ length }) => length);
    };
    expect(await counts(store)).toEqual([3, 0, 5, 0]);
    await store[Symbol.asyncDispose]();
    const again = makeStore(folder.path, { clock, history: [rule("a/#", 2), rule("d/#", 9)] });
    await again.open();
    expect(await counts(again)).toEqual([2, 0, 0, 0]);
    await again.tidy();
    await again[Symbol.asyncDispose]();
    expect(await checkStore(folder.path)).toMatchObject({ faults: [], messages: 2, leftover: 0 });
  });
});

describe("what is deleted", () => {
  test("an attachment that is forgotten goes page by page, over a kill midway, and leaves nothing", async () => {
    await using folder = await testFolder();
    const store = makeStore(folder.path, { history: [] });
    const { seq } = await store.open();
    const messages = many(seq, 2_000, () => ({}));
    await store.commit(batchOf([interestWrite("gone"), interestWrite("stays")]));
    for (let at = 0; at < 2_000; at += 200)
      await store.commit(
        batchOf(
          messages
            .slice(at, at + 200)
            .map((one) => messageWrite(one, at < 200 ? ["gone", "stays"] : ["gone"])),
        ),
      );
    await store.commit(batchOf([], [{ write: "forget", name: "gone", at: 9 }]));
    const tidying = store.tidy();
    // Other writes go between the pages.
    for (let at = 0; at < 3; at += 1)
      await store.commit(batchOf([messageWrite(storedMessage(seq + 3_000 + at), ["gone"])]));
    await using copy = await leftBy(folder.path);
    const again = makeStore(copy.path, { history: [] });
    await again.open();
    await again.tidy();
    expect(await again.waiting("gone", 0, 10)).toHaveLength(3);
    const receipt = await again.receipt(storedMessage(seq + 1_999).id);
    expect(receipt?.outcomes).toEqual([{ attachment: "gone", is: "dropped", reason: "forgotten", at: 9 }]);
    await again[Symbol.asyncDispose]();
    expect(await checkStore(copy.path)).toMatchObject({ faults: [], rows: 203, messages: 203, leftover: 0 });
    await tidying;
    await store[Symbol.asyncDispose]();
    expect(await checkStore(folder.path)).toMatchObject({
      faults: [],
      rows: 203,
      messages: 203,
      leftover: 0,
    });
  });

  test("a drained outbox is compacted: its room is free again, its head is found", async () => {
    await using folder = await testFolder();
    const count = isLong ? 50_000 : 12_000;
    const limits = { history: [], receipts: { forMs: 0 } };
    await using store = makeStore(folder.path, limits, { compactAfter: 10_000 });
    const { seq } = await store.open();
    await store.commit(batchOf([interestWrite("one")]));
    const payload = new Uint8Array(1_000);
    for (let at = 0; at < count; at += 250) {
      const messages = many(seq + at, 250, () => ({ payload }));
      await store.commit(batchOf(messages.map((one) => messageWrite(one, ["one"]))));
      await store.commit(batchOf([], ends("one", at === 0 ? messages.slice(1) : messages)));
    }
    expect(await bytesIn(folder.path)).toBeGreaterThan(4_000_000);
    await store.commit(batchOf([], ends("one", [storedMessage(seq)])));
    await store.commit(batchOf([messageWrite(storedMessage(seq + count), ["one"])]));
    await store.tidy();
    await store.tidy();
    expect(await bytesIn(folder.path)).toBeLessThan(12_000_000);
    const rows = await store.waiting("one", 0, 10);
    expect(rows.map(({ message }) => message.seq)).toEqual([seq + count]);
  });
});
