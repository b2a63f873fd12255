import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { NomqError } from "@nomq/core";
import {
  batchOf,
  createFakeClock,
  type FakeClock,
  interestWrite,
  messageWrite,
  storedMessage,
} from "@nomq/core/testing";
import { describe, expect, test } from "vitest";
import { type Level, type OpenLevel, openLevel } from "../../src/store/disk/level.ts";
import { checkStore } from "../../src/store/index.ts";
import { batchWrittenBy } from "./batches.ts";
import { makeStore, testFolder } from "./folders.ts";

type Fault = "before" | "after" | "none";

/** LevelDB whose next write fails, before or after it has landed, and which does not open again so often. */
interface Faulty extends Spoiling {
  readonly open: OpenLevel;
  unopened: number;
}

interface Spoiling {
  next: Fault;
  writes: number;
  readonly sync: boolean[];
  /** Writes nothing and says so at once. */
  isInstant: boolean;
}

function faulty(): Faulty {
  const state = {
    isInstant: false,
    next: "none" as Fault,
    unopened: 0,
    writes: 0,
    sync: [] as boolean[],
    open: async (...given: Parameters<OpenLevel>): Promise<Level> => {
      if (state.unopened > 0 && state.writes > 0) {
        state.unopened -= 1;
        throw new NomqError("store-failed", "No space left on device");
      }
      const level = await openLevel(...given);
      return { ...level, batch: () => spoiled(level, state) };
    },
  };
  return state;
}

function spoiled(level: Level, state: Spoiling): ReturnType<Level["batch"]> {
  return batchWrittenBy(level, async (batch, how) => {
    if (state.isInstant) {
      state.writes += 1;
      void batch.discard();
      return;
    }
    const fault = state.next;
    state.next = "none";
    state.writes += 1;
    state.sync.push(how.sync);
    if (fault !== "before") await batch.write(how);
    if (fault !== "none") throw new Error("IO error: No space left on device");
  });
}

async function healed(clock: FakeClock, waiting: Promise<unknown>): Promise<void> {
  let isSettled = false;
  const done = (): void => {
    isSettled = true;
  };
  waiting.then(done, done);
  while (!isSettled) await clock.advance(500);
}

describe("a write that failed", () => {
  test.each(["before", "after"] as const)("%s it landed is told as what the disk holds", async (fault) => {
    await using folder = await testFolder();
    const clock = createFakeClock();
    const level = faulty();
    const store = makeStore(folder.path, { clock }, { open: level.open });
    const { seq } = await store.open();
    await store.commit(batchOf([interestWrite("one")]));
    level.next = fault;
    level.unopened = 2;
    const offer = messageWrite(storedMessage(seq), ["one"]);
    const commit = store.commit(batchOf([offer])).then(
      () => "there",
      () => "not there",
    );
    await healed(clock, commit);
    const told = await commit;
    expect(told).toBe(fault === "after" ? "there" : "not there");
    // What was refused is offered again, once; what is there is not.
    if (told === "not there") await store.commit(batchOf([offer]));
    expect(await store.waiting("one", 0, 9)).toHaveLength(1);
    await store[Symbol.asyncDispose]();
    expect(await checkStore(folder.path)).toMatchObject({ faults: [], rows: 1, messages: 1 });
  });

  test("keeps others out until it is known what became of it; then they may write", async () => {
    await using folder = await testFolder();
    const clock = createFakeClock();
    const level = faulty();
    await using store = makeStore(folder.path, { clock }, { open: level.open });
    const { seq } = await store.open();
    level.next = "before";
    level.unopened = 1;
    const commits = [0, 1].map((at) =>
      store.commit(batchOf([messageWrite(storedMessage(seq + at), ["one"])])),
    );
    const settled = Promise.allSettled(commits);
    while (level.unopened > 0) await clock.advance(1);
    await expect(store.commit(batchOf([messageWrite(storedMessage(seq + 2), ["one"])]))).rejects.toThrow(
      /store-busy|closed/,
    );
    await healed(clock, settled);
    expect((await settled).map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    await store.commit(batchOf([messageWrite(storedMessage(seq + 3), ["one"])]));
    expect(await store.waiting("one", 0, 9)).toHaveLength(1);
  });

  test("and a store closed meanwhile: every promise settles", async () => {
    await using folder = await testFolder();
    const clock = createFakeClock();
    const level = faulty();
    const store = makeStore(folder.path, { clock }, { open: level.open });
    const { seq } = await store.open();
    level.next = "before";
    level.unopened = 1_000;
    const commit = store.commit(batchOf([messageWrite(storedMessage(seq), ["one"])]));
    const settled = Promise.allSettled([commit]);
    while (level.unopened === 1_000) await clock.advance(1);
    await store[Symbol.asyncDispose]();
    expect((await settled)[0]?.status).toBe("rejected");
    expect(clock.pending()).toBe(0);
    const again = makeStore(folder.path);
    expect((await again.open()).attachments).toEqual([]);
    await again[Symbol.asyncDispose]();
  });
});

describe("group commit", () => {
  test.each([false, true])(
    "5,000 commits of one tick share flushes of at most 256, and the loop turns between them, at once: %s",
    async (isInstant) => {
      await using folder = await testFolder();
      const level = faulty();
      await using store = makeStore(folder.path, {}, { open: level.open });
      const { seq } = await store.open();
      const before = level.writes;
      level.isInstant = isInstant;
      let turns = 0;
      let isDone = false;
      const turn = (): void => {
        turns += 1;
        if (!isDone) setImmediate(turn);
      };
      const commits = Array.from({ length: 5_000 }, (_, at) =>
        store.commit(batchOf([messageWrite(storedMessage(seq + at), ["one"])])),
      );
      turn();
      await Promise.all(commits);
      isDone = true;
      const flushes = level.writes - before;
      expect(flushes).toBeGreaterThanOrEqual(20);
      expect(flushes).toBeLessThan(200);
      expect(turns).toBeGreaterThanOrEqual(flushes);
      if (!isInstant) expect(await store.waiting("one", 0, 10_000)).toHaveLength(5_000);
    },
  );

  test.each([
    ["process", false],
    ["power", true],
  ] as const)("durability %s: flushes are synced: %s", async (durability, isSynced) => {
    await using folder = await testFolder();
    const level = faulty();
    await using store = makeStore(folder.path, { durability }, { open: level.open });
    const { seq } = await store.open();
    level.sync.length = 0;
    await store.commit(batchOf([messageWrite(storedMessage(seq), ["one"])]));
    expect(level.sync).toEqual([isSynced]);
  });

  test("a disk below its mark takes facts and no messages", async () => {
    await using folder = await testFolder();
    const none = Number.MAX_SAFE_INTEGER;
    await using store = makeStore(folder.path, { space: { low: none, high: none, reserve: 0 } });
    const { seq } = await store.open();
    await expect(store.commit(batchOf([messageWrite(storedMessage(seq), ["one"])]))).rejects.toThrow(
      "store-full",
    );
    expect(store.isFull).toBe(true);
    await store.commit(batchOf([], [{ write: "count", name: "one", add: { accepted: 1, refused: 1 } }]));
    expect((await store.open()).rows?.map(([name]) => name)).toEqual(["one"]);
  });
});

test("a folder that was removed while it was open is noticed: what must last is refused from then on", async () => {
  await using folder = await testFolder();
  const path = join(folder.path, "store");
  await using store = makeStore(path);
  await store.open();
  const message = (seq: number): ReturnType<typeof batchOf> =>
    batchOf([messageWrite(storedMessage(seq), ["peer"])]);
  await store.commit(batchOf([interestWrite("peer")]));
  await store.commit(message(1));
  await rm(path, { recursive: true });
  await store.tidy();
  expect(store.isGone).toBe(true);
  await expect(store.commit(message(2))).rejects.toMatchObject({ code: "store-failed" });
  expect(existsSync(path)).toBe(false);
});
