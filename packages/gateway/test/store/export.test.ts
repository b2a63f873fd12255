import { createHash } from "node:crypto";
import { cp, mkdir, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  batchOf,
  collected,
  createFakeClock,
  createPrng,
  interestWrite,
  messageWrite,
  storedMessage,
} from "@nomq/core/testing";
import { describe, expect, test } from "vitest";
import { openLevel } from "../../src/store/disk/level.ts";
import { checkStore, exportStore, importStore, salvageStore } from "../../src/store/index.ts";
import { contents, drawBatch, opened } from "./drawn.ts";
import { makeStore, testFolder } from "./folders.ts";

const isLong = process.env["NOMQ_LONG"] !== undefined;
const seeds = Array.from({ length: isLong ? 30 : 4 }, (_, at) => at + 1);

async function* each(lines: readonly string[]): AsyncGenerator<string> {
  yield* lines;
}

const texts = async (folder: string): Promise<string[]> =>
  (await collected(exportStore(folder))).map(({ text }) => text);

/** A store after drawn batches, closed. */
async function drawn(folder: string, seed: number): Promise<number> {
  const prng = createPrng(seed);
  const store = makeStore(folder);
  await store.open();
  let last = 1_000;
  for (let round = 0; round < 60; round += 1)
    await store.commit(
      drawBatch(prng, () => {
        last += 1;
        return last;
      }),
    );
  await store.tidy();
  await store[Symbol.asyncDispose]();
  return last;
}

async function allOf(folder: string, last: number): Promise<unknown> {
  await using store = makeStore(folder);
  const { seq, ...rest } = await store.open();
  return { opened: opened({ seq: 0, ...rest }), contents: await contents(store, last) };
}

/** What must not change: all but the files that every opening writes. */
async function printOf(folder: string): Promise<string> {
  const hash = createHash("sha256");
  const names = (await readdir(folder, { recursive: true })).filter((name) => !/LOG|LOCK|level$/.test(name));
  for (const name of names.sort()) hash.update(name).update(await readFile(join(folder, name)));
  return hash.digest("hex");
}

describe("an export", () => {
  test.each(seeds)("imported into an empty folder is the same store: seed %i", async (seed) => {
    await using base = await testFolder();
    const [from, to] = [join(base.path, "from"), join(base.path, "to")];
    const last = await drawn(from, seed);
    const lines = await texts(from);
    expect(await importStore(to, each(lines))).toEqual({ lines: lines.length - 1, damaged: 0 });
    const report = await checkStore(to);
    expect(report).toMatchObject({ faults: [], leftover: 0 });
    expect(report).toEqual(await checkStore(from));
    expect(await allOf(to, last)).toEqual(await allOf(from, last));
    const again = await texts(to);
    expect(again.slice(1, -1).sort()).toEqual((await texts(from)).slice(1, -1).sort());
  });

  test("gives its store numbers above all that were given", async () => {
    await using base = await testFolder();
    const [from, to] = [join(base.path, "from"), join(base.path, "to")];
    await drawn(from, 1);
    await importStore(to, each(await texts(from)));
    await using one = makeStore(from);
    await using other = makeStore(to);
    expect((await other.open()).seq).toBeGreaterThanOrEqual((await one.open()).seq);
  });

  test.each([
    ["cut off", (lines: string[]) => lines.slice(0, -1), "is missing: the export was cut off"],
    ["short of a line", (lines: string[]) => lines.toSpliced(3, 1), "does not fit the lines before it"],
    ["changed", (lines: string[]) => lines.map((line) => line.replace('"one"', '"won"')), "line"],
    ["with more behind it", (lines: string[]) => [...lines, ...lines], "comes after the end"],
    ["of nothing", () => [], "is missing"],
    ["without its head", (lines: string[]) => lines.slice(1), "is not where it belongs"],
    ["that is none", () => ["hello"], "line 1 is not JSON"],
    ["of another kind", () => ['{"kind":"x"}'], "line 1 is not a line of an export"],
  ])("%s is refused and leaves nothing", async (_, spoil, text) => {
    await using base = await testFolder();
    const [from, to] = [join(base.path, "from"), join(base.path, "to")];
    await drawn(from, 2);
    const lines = spoil(await texts(from));
    await expect(importStore(to, each(lines))).rejects.toThrow(text);
    expect(await readdir(base.path)).toEqual(["from"]);
  });

  test("is not imported where something lies", async () => {
    await using base = await testFolder();
    const from = join(base.path, "from");
    await drawn(from, 3);
    const lines = await texts(from);
    await expect(importStore(from, each(lines))).rejects.toThrow("is not empty");
    expect(await texts(from)).toEqual(lines);
  });
});

/** Changes a byte of every value under the prefix. */
async function flip(folder: string, ...prefix: number[]): Promise<void> {
  const level = await openLevel(folder, { create: false });
  const gte = Buffer.from(prefix);
  const page = await level.page({ gte, lt: Buffer.concat([gte, Buffer.alloc(40, 0xff)]) }, 10);
  const batch = level.batch();
  for (const [key, value] of page) {
    value[value.length - 6] = (value[value.length - 6] ?? 0) ^ 1;
    batch.put(key, value);
  }
  await batch.write({ sync: true });
  await level.close();
}

const fileIn = async (folder: string, start: string): Promise<string> => {
  const names = await readdir(join(folder, "level"));
  return join(folder, "level", names.find((name) => name.startsWith(start)) ?? start);
};

const damages: readonly (readonly [string, (folder: string) => Promise<void>, lost: boolean])[] = [
  ["nothing", () => Promise.resolve(), false],
  ["CURRENT gone", (folder) => rm(join(folder, "level", "CURRENT")), false],
  ["CURRENT empty", (folder) => truncate(join(folder, "level", "CURRENT"), 0), false],
  ["MANIFEST gone", async (folder) => rm(await fileIn(folder, "MANIFEST")), false],
  ["the mark gone bad", (folder) => writeFile(join(folder, "store.json"), "{"), false],
  ["counts flipped", (folder) => flip(folder, 0x12, 0, 0, 0, 1, 1), true],
  ["a name flipped", (folder) => flip(folder, 0x02, 1, 0x6f), true],
  ["messages flipped", (folder) => flip(folder, 0x10), true],
  ["receipts flipped", (folder) => flip(folder, 0x14), true],
];

describe("a salvage", () => {
  test.each(damages)(
    "of a store with %s: what it reads makes a sound store, and the folder stays as it is",
    async (_, spoil, isLost) => {
      await using base = await testFolder();
      const [folder, to] = [join(base.path, "from"), join(base.path, "to")];
      const store = makeStore(folder);
      const { seq } = await store.open();
      await store.commit(batchOf(["one", "two"].map((name) => interestWrite(name))));
      for (let at = 0; at < 30; at += 1)
        await store.commit(
          batchOf([
            messageWrite(storedMessage(seq + at, { channel: `c/${at}`, retain: true }), ["one", "two"]),
          ]),
        );
      await store[Symbol.asyncDispose]();
      await spoil(folder);
      const before = await printOf(folder);
      const lines = await collected(salvageStore(folder));
      expect(await printOf(folder)).toBe(before);
      expect(await readdir(base.path)).toEqual(["from"]);
      const kinds = lines.map(({ kind }) => kind);
      expect(kinds.includes("damaged")).toBe(isLost);
      expect(kinds.filter((kind) => kind === "retained")).toHaveLength(30);
      expect(kinds.filter((kind) => kind === "waiting").length).toBeGreaterThanOrEqual(isLost ? 20 : 60);
      await importStore(to, each(lines.map(({ text }) => text)));
      expect((await checkStore(to)).faults).toEqual([]);
      await using again = makeStore(to);
      expect((await again.open()).seq).toBeGreaterThan(seq + 29);
    },
  );

  test("of tables with a bad block reads what lies around it", async () => {
    await using base = await testFolder();
    const [folder, to] = [join(base.path, "from"), join(base.path, "to")];
    const store = makeStore(folder, { history: [] });
    const { seq } = await store.open();
    await store.commit(batchOf([interestWrite("one")]));
    const payload = new Uint8Array(2_000).fill(1);
    for (let at = 0; at < 500; at += 1)
      await store.commit(batchOf([messageWrite(storedMessage(seq + at, { payload }), ["one"])]));
    await store[Symbol.asyncDispose]();
    const level = await openLevel(folder, { create: false });
    await level.compact({ gte: Buffer.from([0]), lt: Buffer.from([0xff]) });
    await level.close();
    const tables = (await readdir(join(folder, "level"))).filter((name) => name.endsWith(".ldb"));
    for (const table of tables) {
      const path = join(folder, "level", table);
      const bytes = await readFile(path);
      // Lengths at the head of an entry: the block cannot be parsed.
      bytes.fill(0xff, Math.floor(bytes.length / 2), Math.floor(bytes.length / 2) + 6_000);
      await writeFile(path, bytes);
    }
    const lines = await collected(salvageStore(folder));
    const kinds = lines.map(({ kind }) => kind);
    expect(kinds).toContain("damaged");
    expect(kinds.filter((kind) => kind === "waiting").length).toBeGreaterThan(400);
    await importStore(to, each(lines.map(({ text }) => text)));
    expect((await checkStore(to)).faults).toEqual([]);
  });

  test("takes away the copy that a killed one has left", async () => {
    await using base = await testFolder();
    const folder = join(base.path, "store");
    await drawn(folder, 1);
    await cp(folder, `${folder}.salvage-left`, { recursive: true });
    await mkdir(`${folder}.salvage-begun`);
    expect((await collected(salvageStore(folder))).at(-1)?.kind).toBe("end");
    expect(await readdir(base.path)).toEqual(["store"]);
  });

  test("of a store that is open elsewhere is refused", async () => {
    await using base = await testFolder();
    await using store = makeStore(join(base.path, "from"), { clock: createFakeClock() });
    await store.open();
    await expect(collected(salvageStore(join(base.path, "from")))).rejects.toThrow("data-in-use");
    await expect(collected(salvageStore(join(base.path, "none")))).rejects.toThrow("store-failed");
    expect(await readdir(base.path)).toEqual(["from"]);
  });
});
