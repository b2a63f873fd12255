import { cp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createHub, type Message, NomqError } from "@nomq/core";
import {
  batchOf,
  collected,
  createFakeClock,
  createPrng,
  createToyPeer,
  interestWrite,
  messageWrite,
  storedMessage,
} from "@nomq/core/testing";
import { ClassicLevel } from "classic-level";
import { describe, expect, test } from "vitest";
import { checkStore, createDurableStore, exportStore } from "../../src/store/index.ts";
import { startChild } from "./children.ts";
import { leftBy, makeStore, testFolder } from "./folders.ts";

const isLong = process.env["NOMQ_LONG"] !== undefined;
const FLIPS = isLong ? 60 : 12;

async function refusal(folder: string): Promise<NomqError> {
  const store = makeStore(folder);
  try {
    await store.open();
  } catch (error) {
    if (error instanceof NomqError) return error;
    throw error;
  }
  await store[Symbol.asyncDispose]();
  throw new Error("the store opened");
}

const marked = (at: number): Message =>
  storedMessage(at, { payload: Buffer.from(`payload-${at}-`.repeat(20)), channel: `c/${at}`, retain: true });

/** Fills a store and leaves it as a killed process does. */
async function filled(folder: string, commits: number): Promise<number> {
  const store = makeStore(folder);
  const { seq } = await store.open();
  await store.commit(batchOf([interestWrite("one")]));
  for (let at = 0; at < commits; at += 1)
    await store.commit(batchOf([messageWrite(marked(seq + at), ["one"])]));
  await store[Symbol.asyncDispose]();
  return seq;
}

async function level(folder: string): Promise<ClassicLevel<Buffer, Buffer>> {
  const db = new ClassicLevel<Buffer, Buffer>(join(folder, "level"), {
    keyEncoding: "buffer",
    valueEncoding: "buffer",
  });
  await db.open({ compression: false });
  return db;
}

/** Changes every place where the text stands in LevelDB's files. */
async function spoil(folder: string, text: string): Promise<number> {
  let places = 0;
  for (const name of await readdir(join(folder, "level"))) {
    const path = join(folder, "level", name);
    const bytes = await readFile(path);
    for (let at = bytes.indexOf(text); at !== -1; at = bytes.indexOf(text, at + 1)) {
      bytes[at + text.length - 1] = 0x58;
      places += 1;
    }
    await writeFile(path, bytes);
  }
  return places;
}

describe("a store that must not be opened", () => {
  test("a second process is refused, told the folder, and may have it after the first", async () => {
    await using folder = await testFolder();
    const child = startChild("./committer.ts", [folder.path, "1", "hold"]);
    await child.until(1);
    const error = await refusal(folder.path);
    expect(error.code).toBe("data-in-use");
    expect(error.message).toContain(folder.path);
    await child.kill();
    await using store = makeStore(folder.path);
    await store.open();
  });

  test("a newer format is refused and left as it is", async () => {
    await using folder = await testFolder();
    await filled(folder.path, 1);
    const mark = join(folder.path, "store.json");
    await writeFile(mark, '{"format":3,"id":"x"}');
    const error = await refusal(folder.path);
    expect(error.code).toBe("store-newer");
    expect(error.message).toContain("format 3; this version knows 2");
    expect(await readFile(mark, "utf8")).toBe('{"format":3,"id":"x"}');
  });

  test.each(["", "{", '{"format":0,"id":"x"}', '{"format":1}', "[]"])(
    "a mark that is none is refused: %s",
    async (text) => {
      await using folder = await testFolder();
      await filled(folder.path, 1);
      await writeFile(join(folder.path, "store.json"), text);
      expect((await refusal(folder.path)).code).toBe("store-damaged");
    },
  );

  test.each(["CURRENT", "MANIFEST-000004"])(
    "without %s it is refused twice and nothing is deleted",
    async (name) => {
      await using folder = await testFolder();
      await filled(folder.path, 20);
      const files = await readdir(join(folder.path, "level"));
      const [found = name] = files.filter((file) => file.startsWith(name.slice(0, 8)));
      await rm(join(folder.path, "level", found));
      for (const time of [1, 2]) {
        const error = await refusal(folder.path);
        expect(`${time}: ${error.code}`).toBe(`${time}: store-damaged`);
        expect(error.message).toContain("backup");
      }
      const left = new Set(await readdir(join(folder.path, "level")));
      const lost = files.filter((file) => file !== found && !left.has(file));
      expect(lost.filter((file) => /\.(log|ldb)$/.test(file))).toEqual([]);
    },
  );

  test(`a batch that the log lost is found at ${FLIPS} random flips, and refused twice`, async () => {
    const prng = createPrng(5);
    await using folder = await testFolder();
    await filled(folder.path, 300);
    for (let flip = 0; flip < FLIPS; flip += 1) {
      await using copy = await leftBy(folder.path);
      const names = await readdir(join(copy.path, "level"));
      const log = join(copy.path, "level", names.find((name) => name.endsWith(".log")) ?? "");
      const bytes = await readFile(log);
      // Not in the last block: a lost tail cannot be told from a power cut.
      const at = prng.between(0, bytes.length - 40_000);
      bytes[at] = (bytes[at] ?? 0) ^ (1 << prng.between(0, 7));
      await writeFile(log, bytes);
      for (const time of [1, 2]) {
        const error = await refusal(copy.path);
        expect(`${time}: ${error.code}`).toBe(`${time}: store-damaged`);
        expect(error.message).toContain("lost commit");
      }
    }
  });

  test("counts that cannot be relied on are refused", async () => {
    await using folder = await testFolder();
    await filled(folder.path, 3);
    const db = await level(folder.path);
    for await (const [key, value] of db.iterator({ gte: Buffer.from([0x12]), lt: Buffer.from([0x13]) })) {
      value[3] = (value[3] ?? 0) ^ 1;
      await db.put(key, value);
    }
    await db.close();
    const error = await refusal(folder.path);
    expect(error.code).toBe("store-damaged");
  });
});

describe("a store made anew", () => {
  test("a start that was cut off before the mark goes on with what is there", async () => {
    await using folder = await testFolder();
    const seq = await filled(folder.path, 3);
    await rm(join(folder.path, "store.json"));
    await using store = makeStore(folder.path);
    expect((await store.open()).seq).toBeGreaterThan(seq);
    expect(await store.waiting("one", 0, 10)).toHaveLength(3);
  });

  test("a folder whose mark and CURRENT have both gone is not taken for a new one", async () => {
    await using folder = await testFolder();
    await filled(folder.path, 3);
    // Opened again, LevelDB turns its log into a table.
    const again = makeStore(folder.path);
    await again.open();
    await again[Symbol.asyncDispose]();
    await rm(join(folder.path, "store.json"));
    await rm(join(folder.path, "level", "CURRENT"));
    expect((await refusal(folder.path)).code).toBe("store-damaged");
  });
});

describe("a damaged value", () => {
  test("is put aside and counted; the others come, the counts balance in the hub and after it", async () => {
    await using folder = await testFolder();
    const seq = await filled(folder.path, 5);
    const first = makeStore(folder.path);
    await first.open();
    await first[Symbol.asyncDispose]();
    expect(await spoil(folder.path, `payload-${seq + 2}-payload-${seq + 2}-`)).toBeGreaterThan(0);
    const clock = createFakeClock();
    await using store = makeStore(folder.path, { clock });
    const hub = createHub({ store, clock });
    await hub.start();
    const peer = createToyPeer({ name: "one", durable: true });
    await hub.port("test").attach(peer.connect());
    while ((hub.attachments()[0]?.ledger.pending ?? 0) > 0) await clock.advance(1_000);
    const row = hub.attachments()[0]?.ledger;
    expect(row).toMatchObject({ accepted: 5, delivered: 4, dropped: { corrupt: 1 }, pending: 0 });
    expect(await store.latest(`c/${seq + 2}`)).toBeUndefined();
    expect(await store.latest(`c/${seq + 1}`)).toBeDefined();
    expect(store.damaged).toBeGreaterThanOrEqual(2);
    await hub[Symbol.asyncDispose]();
    const report = await checkStore(folder.path);
    expect(report).toMatchObject({ faults: [], rows: 0, retained: 4 });
    expect(report.quarantined).toBe(2);
    const again = createHub({ store, clock });
    await again.start();
    expect(again.attachments()[0]?.ledger).toEqual(row);
    await again[Symbol.asyncDispose]();
  });

  test("is told by the check and by the export, which goes on", async () => {
    await using folder = await testFolder();
    const seq = await filled(folder.path, 5);
    const first = makeStore(folder.path);
    await first.open();
    await first[Symbol.asyncDispose]();
    await spoil(folder.path, `payload-${seq + 2}-payload-${seq + 2}-`);
    const { faults } = await checkStore(folder.path);
    expect(faults.join()).toContain("damaged");
    const lines = await collected(exportStore(folder.path));
    const kinds = lines.map(({ kind }) => kind);
    expect(kinds[0]).toBe("store");
    expect(kinds.filter((kind) => kind === "waiting")).toHaveLength(4);
    expect(kinds.filter((kind) => kind === "retained")).toHaveLength(4);
    expect(kinds.filter((kind) => kind === "damaged")).toHaveLength(3);
    expect(JSON.parse(lines.at(-1)?.text ?? "")).toMatchObject({ kind: "end", lines: lines.length - 1 });
  });
});

test("a folder without a store is not made by the check", async () => {
  await using folder = await testFolder();
  await expect(checkStore(folder.path)).rejects.toThrow("store-failed");
  await expect(collected(exportStore(folder.path))).rejects.toThrow("store-failed");
  expect(await readdir(folder.path)).toEqual([]);
});

test("the public store opens a folder that it must make first", async () => {
  await using base = await testFolder();
  const folder = join(base.path, "a", "b");
  await using store = createDurableStore({ folder, space: { low: 0, high: 0, reserve: 0 } });
  expect((await store.open()).attachments).toEqual([]);
  await cp(folder, join(base.path, "copy"), { recursive: true });
});
