import { execFileSync } from "node:child_process";
import { cp, readdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Log } from "@nomq/core";
import { collected, createFakeClock, storedMessage } from "@nomq/core/testing";
import { describe, expect, test } from "vitest";
import { type Level, type OpenLevel, openLevel } from "../../src/store/disk/level.ts";
import { completed, migrated } from "../../src/store/disk/migrate.ts";
import { checkStore } from "../../src/store/index.ts";
import { makeStore, type TestFolder, testFolder } from "./folders.ts";

const FORMAT_1 = fileURLToPath(new URL("./fixtures/format-1.tar.gz", import.meta.url));
const clock = createFakeClock();

/** A folder with a store that the first version wrote: 12 messages for one and two, two of them ended. */
async function old(): Promise<TestFolder & { readonly store: string }> {
  const base = await testFolder();
  execFileSync("tar", ["xzf", FORMAT_1, "-C", base.path]);
  return { ...base, store: join(base.path, "store") };
}

const markOf = async (folder: string): Promise<{ format: number; id: string }> =>
  JSON.parse(await readFile(join(folder, "store.json"), "utf8"));

/** Fails at the given batch of the copy, as a process does that is killed there. */
function failingAt(batches: number): { readonly open: OpenLevel; written: number } {
  const state = {
    written: 0,
    open: async (...given: Parameters<OpenLevel>): Promise<Level> => {
      const level = await openLevel(...given);
      return {
        ...level,
        batch: () => {
          const batch = level.batch();
          return {
            ...batch,
            write: async (how) => {
              if (state.written === batches) throw new Error("killed");
              state.written += 1;
              await batch.write(how);
            },
          };
        },
      };
    },
  };
  return state;
}

async function expectAll(folder: string): Promise<void> {
  const store = makeStore(folder, { clock });
  const opened = await store.open();
  expect(opened.attachments.map(({ name, waiting, row }) => [name, waiting, row.accepted])).toEqual([
    ["one", 11, 12],
    ["two", 11, 12],
  ]);
  expect(opened.once).toHaveLength(12);
  const seqs = (await collected(store.history("a/1", {}))).map(({ seq }) => seq - 1);
  expect(seqs).toEqual([1, 4, 7, 10]);
  expect((await store.latest("a/2"))?.seq).toBe(9);
  const receipts = await Promise.all(
    Array.from({ length: 12 }, (_, at) => store.receipt(storedMessage(at + 1).id)),
  );
  const outcomes = receipts.flatMap((receipt) =>
    receipt?.outcomes.map(({ attachment, is }) => `${attachment} ${is}`),
  );
  const pending = (name: string): string[] => Array.from({ length: 11 }, () => `${name} pending`);
  expect(outcomes.sort()).toEqual(["one delivered", ...pending("one"), "two dropped", ...pending("two")]);
  expect(await collected(store.state("nomq"))).toHaveLength(1);
  await store.tidy();
  await store[Symbol.asyncDispose]();
  expect(await checkStore(folder)).toMatchObject({ faults: [], rows: 22, leftover: 0 });
}

describe("a store of format 1", () => {
  test("is brought to format 2 on a copy, with its histories; the old one stays beside it and says how far it is", async () => {
    await using base = await old();
    const { id } = await markOf(base.store);
    const told: string[] = [];
    const info: Log["info"] = (text, fields) => void told.push(`${text} ${JSON.stringify(fields)}`);
    const log: Log = { debug: () => undefined, info, warn: info, error: info };
    const store = makeStore(base.store, { clock, log });
    await store.open();
    await store[Symbol.asyncDispose]();
    expect(await markOf(base.store)).toEqual({ format: 2, id });
    expect(await markOf(`${base.store}.format-1`)).toEqual({ format: 1, id });
    expect((await readdir(base.path)).sort()).toEqual(["store", "store.format-1"]);
    expect(told.join("\n")).toMatch(
      /brought to format 2[\s\S]*has format 2.*"entries":42\d\d.*store\.format-1/,
    );
    await expectAll(base.store);
  });

  test("killed at any moment of it, the next start goes on where it was, and the old one is as it was", async () => {
    await using base = await old();
    const levels = failingAt(7);
    const store = makeStore(base.store, { clock }, { open: levels.open });
    await expect(store.open()).rejects.toThrow("killed");
    expect((await markOf(base.store)).format).toBe(1);
    const rest = failingAt(Number.POSITIVE_INFINITY);
    const again = makeStore(base.store, { clock }, { open: rest.open });
    await again.recover();
    await again[Symbol.asyncDispose]();
    // 4,096 commits are 16 pages alone.
    expect(rest.written).toBeLessThan(14);
    await expectAll(base.store);
  });

  test("that has changed since it was cut off is copied anew", async () => {
    await using base = await old();
    const cut = makeStore(base.store, { clock }, { open: failingAt(16).open });
    await expect(cut.open()).rejects.toThrow("killed");
    await using other = await old();
    // Another store takes its place, as after a backup was put back.
    await cp(join(base.path, "store.migrating"), join(other.path, "store.migrating"), { recursive: true });
    const level = await openLevel(other.store, { create: false });
    const last = (await level.back({ gte: Buffer.from([1]), lt: Buffer.from([2]) }, 1))[0];
    await level.close();
    const steps = new Map([[1, (page: readonly [Buffer, Buffer][]) => Promise.resolve([...page])]]);
    const all = failingAt(Number.POSITIVE_INFINITY);
    await migrated(other.store, {
      ...{ mark: await markOf(other.store), steps, to: 2, open: all.open },
      log: { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined },
      lastCommit: () => Promise.resolve((last?.[0].readUInt32BE(5) ?? 0) + 1),
    });
    expect(all.written).toBeGreaterThan(16);
  });

  test("with the process gone between the two renames, the complete copy takes its place", async () => {
    await using base = await old();
    const store = makeStore(base.store, { clock });
    await store.open();
    await store[Symbol.asyncDispose]();
    await rename(base.store, `${base.store}.migrating`);
    await completed(base.store);
    await expectAll(base.store);
  });

  test("is refused, and not changed, while another process has it open", async () => {
    await using base = await old();
    const level = await openLevel(base.store, { create: false });
    await expect(makeStore(base.store, { clock }).open()).rejects.toThrow("data-in-use");
    await level.close();
    expect(await readdir(base.path)).toEqual(["store"]);
  });

  test("with a hole in its log is refused as damaged and not copied", async () => {
    await using base = await old();
    const level = await openLevel(base.store, { create: false });
    const [hole] = await level.keys({ gte: Buffer.from([1]), lt: Buffer.from([2]) }, 100);
    const batch = level.batch();
    if (hole !== undefined) batch.del(hole);
    await batch.write({ sync: true });
    await level.close();
    await expect(makeStore(base.store, { clock }).open()).rejects.toThrow("store-damaged");
    expect(await readdir(base.path)).toEqual(["store"]);
  });

  test("is not looked into before the gateway has brought it up, and one from before the first is refused", async () => {
    await using base = await old();
    await expect(checkStore(base.store)).rejects.toThrow("brings it to 2 when it starts");
    await rm(join(base.store, "store.json"));
    await expect(checkStore(base.store)).rejects.toThrow("store-failed");
    const mark = { format: 1, id: "x" };
    const steps = new Map();
    const refused = migrated(base.store, {
      ...{ mark, steps, to: 2, open: openLevel },
      log: { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined },
      lastCommit: () => Promise.resolve(1),
    });
    await expect(refused).rejects.toThrow("cannot bring to 2");
  });
});
