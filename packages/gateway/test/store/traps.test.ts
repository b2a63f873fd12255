import { createHub, type Write } from "@nomq/core";
import {
  batchOf,
  createFakeClock,
  createPrng,
  createToyPeer,
  interestWrite,
  messageWrite,
  settle,
  storedMessage,
} from "@nomq/core/testing";
import { describe, expect, test } from "vitest";
import { type Level, type OpenLevel, openLevel } from "../../src/store/disk/level.ts";
import { checkStore } from "../../src/store/index.ts";
import { rowKey, Space } from "../../src/store/layout/keys.ts";
import { batchWrittenBy } from "./batches.ts";
import { bytesIn, leftBy, makeStore, testFolder } from "./folders.ts";

// What LevelDB does to those who do not know it. The others stand beside what they belong to: a batch that is too
// large, a rejected batch that landed (writing.test.ts), a hole in the log, CURRENT gone, a flipped value, a second
// process (start.test.ts), a full disk that lies (disk-full.test.ts), counts that drift (kill.test.ts), a clock set
// back (upkeep.test.ts). No test looks at a clock: they look at what is read, written and held.

const isLong = process.env["NOMQ_LONG"] !== undefined;

/** What the store asks of LevelDB. */
interface Watched {
  readonly open: OpenLevel;
  /** Lowest keys of the pages read. */
  readonly from: Buffer[];
  /** Operations of the largest batch. */
  largest: number;
  batches: number;
  /** Snapshots open now. */
  held: number;
}

function watched(): Watched {
  const state = {
    from: [] as Buffer[],
    largest: 0,
    batches: 0,
    held: 0,
    open: async (...given: Parameters<OpenLevel>): Promise<Level> => {
      const level = await openLevel(...given);
      return {
        ...level,
        page: (range, ...rest) => {
          state.from.push(range.gte);
          return level.page(range, ...rest);
        },
        moment: () => {
          const moment = level.moment();
          const { close } = moment;
          state.held += 1;
          moment.close = async () => {
            state.held -= 1;
            await close.call(moment);
          };
          return moment;
        },
        batch: () =>
          batchWrittenBy(level, (batch, how) => {
            state.largest = Math.max(state.largest, batch.length);
            state.batches += 1;
            return batch.write(how);
          }),
      };
    },
  };
  return state;
}

/** How often the loop turned while it was done. */
async function turnsDuring(work: Promise<unknown>): Promise<number> {
  let turns = 0;
  let isDone = false;
  const turn = (): void => {
    turns += 1;
    if (!isDone) setImmediate(turn);
  };
  turn();
  await work;
  isDone = true;
  return turns;
}

const delivered = (name: string, seq: number): Write => ({
  ...{ write: "outcome", name, seq, is: "delivered", at: 1 },
});

const OUTBOX = { history: [], receipts: { forMs: 0 } };

describe("traps of LevelDB", () => {
  test("a seek over tombstones: the head of a drained outbox is sought behind what was deleted, also after a kill", async () => {
    await using folder = await testFolder();
    const count = isLong ? 50_000 : 5_000;
    const level = watched();
    const never = Number.POSITIVE_INFINITY;
    await using store = makeStore(folder.path, OUTBOX, { open: level.open, compactAfter: never });
    const { seq } = await store.open();
    await store.commit(batchOf([interestWrite("one")]));
    for (let at = 0; at < count; at += 250) {
      const seqs = Array.from({ length: 250 }, (_, more) => seq + at + more);
      await store.commit(batchOf(seqs.map((each) => messageWrite(storedMessage(each), ["one"]))));
      await store.commit(
        batchOf(
          [],
          seqs.map((each) => delivered("one", each)),
        ),
      );
    }
    await store.commit(batchOf([messageWrite(storedMessage(seq + count), ["one"])]));
    await using copy = await leftBy(folder.path);
    await using again = makeStore(copy.path, OUTBOX, { open: level.open, compactAfter: never });
    await again.open();
    for (const one of [store, again]) {
      level.from.length = 0;
      expect(await one.waiting("one", 0, 10)).toHaveLength(1);
      // What is read behind the start are pages of other things.
      const from = level.from.filter(([space]) => space === Space.row);
      const head = rowKey(from[0]?.readUInt32BE(1) ?? 0, seq + count);
      expect(from.map((each) => each.equals(head))).toEqual([true]);
    }
  });

  test("an iterator held: beside a subscriber that never answers nothing is held, and the disk stays small", async () => {
    await using folder = await testFolder();
    const count = isLong ? 50_000 : 8_000;
    const level = watched();
    const clock = createFakeClock();
    const store = makeStore(folder.path, { ...OUTBOX, clock }, { open: level.open, compactAfter: 2_000 });
    const hub = createHub({ store, clock });
    await hub.start();
    await store.tidy();
    const port = hub.port("test");
    const stuck = createToyPeer({ name: "stuck", durable: true, filters: ["stuck"] });
    const outbox = { messages: 200, bytes: 1_000_000, whenFull: "drop-oldest" } as const;
    await port.attach({ ...stuck.connect(), outbox, deliver: () => new Promise(() => undefined) });
    await port.attach({
      ...{ name: "quick", as: "anonymous", durable: true, filters: ["quick"], window: 64, ordered: true },
      deliver: () => Promise.resolve({ is: "delivered" }),
    });
    const payload = new Uint8Array(1_000).fill(7);
    for (let at = 0; at < count; at += 250) {
      const sent = Array.from({ length: 250 }, (_, one) =>
        port.publish({ channel: one % 50 === 0 ? "stuck" : "quick", payload, qos: 1 }, "anonymous"),
      );
      await Promise.all(sent);
      expect(level.held).toBe(0);
      await store.tidy();
    }
    await settle();
    await store.tidy();
    // All that went through is many times of what may lie there.
    expect(await bytesIn(folder.path)).toBeLessThan(6_000_000);
    let isEnded = false;
    const ended = Promise.resolve(hub[Symbol.asyncDispose]()).finally(() => {
      isEnded = true;
    });
    // The call that never answers is waited for, and then given up.
    while (!isEnded) await clock.advance(500);
    await ended;
  });

  test("clear(): what waits for a forgotten attachment goes in pages, the loop turns between them, and a kill midway is made good", async () => {
    await using folder = await testFolder();
    const count = isLong ? 40_000 : 6_000;
    const level = watched();
    const store = makeStore(folder.path, OUTBOX, { open: level.open });
    const { seq } = await store.open();
    await store.commit(batchOf([interestWrite("gone")]));
    for (let at = 0; at < count; at += 250) {
      const seqs = Array.from({ length: 250 }, (_, more) => seq + at + more);
      await store.commit(batchOf(seqs.map((each) => messageWrite(storedMessage(each), ["gone"]))));
    }
    await store.tidy();
    level.largest = 0;
    level.batches = 0;
    await store.commit(batchOf([], [{ write: "forget", name: "gone", at: 9 }]));
    const tidying = store.tidy();
    const turns = turnsDuring(tidying);
    while (level.batches < 4) await new Promise((resolve) => setImmediate(resolve));
    await using copy = await leftBy(folder.path);
    expect(await turns).toBeGreaterThanOrEqual(count / 256);
    expect(level.batches).toBeGreaterThan(count / 256);
    // A row and its body, and what stands for the flush.
    expect(level.largest).toBeLessThanOrEqual(2 * 256 + 10);
    await store[Symbol.asyncDispose]();
    const again = makeStore(copy.path, OUTBOX);
    await again.open();
    await again.tidy();
    await again[Symbol.asyncDispose]();
    for (const path of [folder.path, copy.path])
      expect(await checkStore(path)).toMatchObject({ faults: [], rows: 0, messages: 0, leftover: 0 });
  });

  test("closed while publishing: every promise settles, and what was acknowledged is there", async () => {
    await using folder = await testFolder();
    const store = makeStore(folder.path, OUTBOX);
    const { seq } = await store.open();
    const offers = Array.from({ length: 2_000 }, (_, at) => seq + at);
    const told: number[] = [];
    const settled = Promise.allSettled(
      offers.map(async (each) => {
        await store.commit(batchOf([messageWrite(storedMessage(each), ["one"])]));
        told.push(each);
      }),
    );
    while (told.length < 300) await new Promise((resolve) => setImmediate(resolve));
    await store[Symbol.asyncDispose]();
    await settled;
    await expect(store.commit(batchOf([messageWrite(storedMessage(seq + 9_999), ["one"])]))).rejects.toThrow(
      "closed",
    );
    await using again = makeStore(folder.path, OUTBOX);
    await again.open();
    const rows = await again.waiting("one", 0, 10_000);
    expect(rows.map(({ message }) => message.seq)).toEqual(told.sort((one, other) => one - other));
  });

  test.each(isLong ? [1, 2, 3, 4, 5, 6, 7, 8, 9, 10] : [1, 2])(
    "a body that leaks or goes early: acknowledged at random by four attachments over restarts, the bodies are those referenced: seed %i",
    async (seed) => {
      const prng = createPrng(seed);
      const names = ["a", "b", "c", "d"];
      await using folder = await testFolder();
      let store = makeStore(folder.path, OUTBOX);
      let { seq } = await store.open();
      await store.commit(batchOf(names.map((name) => interestWrite(name))));
      const waits = new Map<number, string[]>();
      for (let round = 0; round < 200; round += 1) {
        seq += 1;
        const to = names.filter(() => prng.chance(0.6));
        await store.commit(batchOf([messageWrite(storedMessage(seq), to)]));
        waits.set(seq, to);
        const ends: Write[] = [];
        for (const [each, left] of waits) {
          const [name] = left;
          if (name === undefined || !prng.chance(0.2)) continue;
          const ended = left.splice(prng.between(0, left.length - 1), 1);
          for (const one of ended) ends.push(delivered(one, each));
        }
        await store.commit(batchOf([], ends));
        if (!prng.chance(0.05)) continue;
        await store[Symbol.asyncDispose]();
        store = makeStore(folder.path, OUTBOX);
        await store.open();
      }
      for (const name of names) {
        const rows = (await store.waiting(name, 0, 1_000)).map(({ message }) => message.seq);
        expect(rows).toEqual([...waits].flatMap(([each, left]) => (left.includes(name) ? [each] : [])));
      }
      await store.tidy();
      await store[Symbol.asyncDispose]();
      const messages = [...waits.values()].filter((left) => left.length > 0).length;
      expect(await checkStore(folder.path)).toMatchObject({ faults: [], messages, leftover: 0 });
    },
  );
});
