import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ClassicLevel } from "classic-level";
import { describe, expect, test } from "vitest";
import { removeLeftovers } from "../../src/store/disk/leftovers.ts";
import { readManifest } from "../../src/store/disk/manifest.ts";
import { type TestFolder, testFolder } from "./folders.ts";

const ORPHANS = ["900001.ldb", "900002.sst", "900003.log", "900004.dbtmp"];

interface Database extends TestFolder {
  readonly manifest: string;
  tables(): number[];
  names(): string[];
}

/** A LevelDB folder with tables of two levels, some given up again, and a log that is not empty. */
async function database(): Promise<Database> {
  const folder = await testFolder();
  const { path } = folder;
  const level = new ClassicLevel<string, string>(path);
  const rows = async (): Promise<void> => {
    for (let row = 0; row < 50; row += 1) await level.put(`${row}`, "value".repeat(100));
  };
  await rows();
  await level.close();
  // Opening writes what the log holds into a table, and begins a MANIFEST.
  await level.open();
  await level.compactRange("", "~");
  await rows();
  await level.compactRange("", "~");
  await rows();
  await level.close();
  await level.open();
  for (let round = 0; round < 2; round += 1) {
    await rows();
    await level.compactRange("", "~");
  }
  await level.put("last", "value");
  await level.close();
  return {
    ...folder,
    [Symbol.asyncDispose]: folder[Symbol.asyncDispose],
    manifest: join(path, readFileSync(join(path, "CURRENT"), "latin1").trim()),
    names: () => readdirSync(path).sort(),
    tables: () =>
      readdirSync(path)
        .filter((name) => name.endsWith(".ldb"))
        .map((name) => Number.parseInt(name, 10))
        .sort(),
  };
}

const nameOf = (table: number): string => `${`${table}`.padStart(6, "0")}.ldb`;

function litter({ path }: TestFolder): void {
  for (const name of ORPHANS) writeFileSync(join(path, name), name.endsWith(".log") ? "" : "unfinished");
}

async function last(path: string): Promise<string | undefined> {
  const level = new ClassicLevel(path);
  try {
    return await level.get("last");
  } finally {
    await level.close();
  }
}

describe("what LevelDB leaves on a full disk", () => {
  test("the MANIFEST's live tables are those that are there, with their sizes", async () => {
    await using folder = await database();
    const manifest = readManifest(readFileSync(folder.manifest));
    const numbers = folder.tables();
    expect(numbers.length).toBeGreaterThan(0);
    expect(manifest?.named.size).toBeGreaterThan(numbers.length);
    expect([...(manifest?.live.keys() ?? [])].sort()).toEqual(numbers);
    for (const [number, size] of manifest?.live ?? [])
      expect(statSync(join(folder.path, nameOf(number))).size).toBe(size);
    expect(
      [...(manifest?.logs ?? [])].some((log) =>
        existsSync(join(folder.path, `${`${log}`.padStart(6, "0")}.log`)),
      ),
    ).toBe(true);
  });

  test("a MANIFEST of more than one block is read whole", async () => {
    await using folder = await testFolder();
    const level = new ClassicLevel<string, string>(folder.path);
    // Each compaction of a row is a record with two keys.
    for (let round = 0; round < 40; round += 1) {
      const key = `${`${round}`.padStart(3, "0")}${"k".repeat(1_000)}`;
      await level.put(key, "value");
      await level.compactRange("", "~");
    }
    await level.close();
    const bytes = readFileSync(
      join(folder.path, readFileSync(join(folder.path, "CURRENT"), "latin1").trim()),
    );
    expect(bytes.length).toBeGreaterThan(65_536);
    const there = readdirSync(folder.path).filter((name) => name.endsWith(".ldb"));
    expect([...(readManifest(bytes)?.live.keys() ?? [])].sort()).toEqual(
      there.map((name) => Number.parseInt(name, 10)).sort(),
    );
  });

  test("goes; what is named, logs with rows and everything unknown stay", async () => {
    await using folder = await database();
    const before = folder.names();
    litter(folder);
    const manifest = readManifest(readFileSync(folder.manifest));
    const givenUp = [...(manifest?.named ?? [])].filter((number) => !manifest?.live.has(number));
    for (const number of givenUp) writeFileSync(join(folder.path, nameOf(number)), "given up");
    expect(givenUp).not.toEqual([]);
    const kept = ["900005.log", "MANIFEST-900006", "other.ldb", "900007.ldb.old"];
    for (const name of kept) writeFileSync(join(folder.path, name), "kept");
    expect(await removeLeftovers(folder.path)).toBe(ORPHANS.length + givenUp.length);
    expect(folder.names()).toEqual([...before, ...kept].sort());
    expect(await last(folder.path)).toBe("value");
  });

  test("nothing goes while the MANIFEST is cut, flipped or missing, or a table is not whole", async () => {
    await using folder = await database();
    litter(folder);
    const before = folder.names();
    const whole = readFileSync(folder.manifest);
    // Where one record ends and the next begins nothing can be seen.
    const ends: number[] = [];
    for (let at = 0; at < whole.length; ends.push(at)) at += 7 + whole.readUInt16LE(at + 4);
    const cuts = Array.from({ length: whole.length }, (_, cut) => cut);
    expect(
      cuts.filter((cut) => readManifest(whole.subarray(0, cut)) !== undefined && !ends.includes(cut)),
    ).toEqual([]);
    for (let at = 0; at < whole.length; at += 1) {
      const flipped = Buffer.from(whole);
      flipped.writeUInt8(whole.readUInt8(at) ^ 1, at);
      expect(readManifest(flipped)).toBeUndefined();
    }
    for (const bytes of [whole.subarray(0, -1), whole.subarray(0, 3), Buffer.alloc(0)]) {
      writeFileSync(folder.manifest, bytes);
      expect(await removeLeftovers(folder.path)).toBe(0);
    }
    writeFileSync(folder.manifest, whole);
    writeFileSync(join(folder.path, "CURRENT"), "MANIFEST-999999\n");
    expect(await removeLeftovers(folder.path)).toBe(0);
    writeFileSync(join(folder.path, "CURRENT"), `${folder.manifest.split("/").at(-1)}\n`);
    const table = readdirSync(folder.path).find((name) => name.endsWith(".ldb") && !ORPHANS.includes(name));
    truncateSync(join(folder.path, table ?? ""), 10);
    expect(await removeLeftovers(folder.path)).toBe(0);
    expect(folder.names()).toEqual(before);
  });

  test("nothing goes while another process has the database open, and the lock is left free", async () => {
    await using folder = await database();
    const script = `
      const { removeLeftovers } = await import(process.argv[1]);
      process.stdout.write(String(await removeLeftovers(process.argv[2])));`;
    const elsewhere = (): string =>
      execFileSync(
        process.execPath,
        [
          "--conditions=@nomq/source",
          "--input-type=module",
          "-e",
          script,
          new URL("../../src/store/disk/leftovers.ts", import.meta.url).href,
          folder.path,
        ],
        { encoding: "utf8", cwd: import.meta.dirname },
      );
    const level = new ClassicLevel(folder.path);
    await level.open();
    litter(folder);
    const before = folder.names();
    expect(elsewhere()).toBe("0");
    expect(folder.names()).toEqual(before);
    await level.close();
    expect(elsewhere()).toBe(`${ORPHANS.length}`);
    expect(await last(folder.path)).toBe("value");
  });
});
