import { existsSync } from "node:fs";
import { cp, readdir, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { NomqError } from "@nomq/core";
import { ClassicLevel } from "classic-level";
import type { Range } from "../layout/keys.ts";
import { makeFolder } from "./folder.ts";
import { causeOf, type Level, levelFolder, overLevel, type RawLevel } from "./level.ts";

/** A copy of a damaged database that reads as much as can be read. Closing removes it. */
export interface Rescued extends Level {
  /** What could not be read, in words. */
  readonly complaints: readonly string[];
}

/**
 * Copies a database and opens the copy, repaired by LevelDB where it must be: what had been deleted may be there
 * again. Rejects with `data-in-use` while a process has the original open, which is left alone.
 */
export async function rescued(folder: string, copy: string): Promise<Rescued> {
  if (!existsSync(levelFolder(folder)))
    throw new NomqError("store-failed", `there is no database in ${folder}`);
  await refuseOpen(folder);
  await removeLeft(folder);
  try {
    await makeFolder(copy);
    await cp(levelFolder(folder), levelFolder(copy), { recursive: true });
    const raw = await openOrRepair(levelFolder(copy));
    const level = lenient(raw);
    const close = async (): Promise<void> => {
      await raw.close();
      await rm(copy, { recursive: true, force: true });
    };
    return { ...level, close };
  } catch (error) {
    await rm(copy, { recursive: true, force: true });
    if (error instanceof NomqError) throw error;
    const text = `the store in ${folder} could not be rescued: ${causeOf(error).text}`;
    throw new NomqError("store-failed", text, { cause: error });
  }
}

/** How copies are called: a process that was killed leaves its own, with all messages in clear. */
export const SALVAGE = ".salvage-";

/** Removes the copies of processes that ended before they could; one that is open stays. */
async function removeLeft(folder: string): Promise<void> {
  const start = `${basename(folder)}${SALVAGE}`;
  for (const name of await readdir(dirname(folder))) {
    if (!name.startsWith(start)) continue;
    const copy = join(dirname(folder), name);
    const isOpen = await refuseOpen(copy).then(
      () => false,
      () => true,
    );
    if (!isOpen) await rm(copy, { recursive: true, force: true });
  }
}

const raw = (location: string): RawLevel =>
  new ClassicLevel<Buffer, Buffer>(location, { keyEncoding: "buffer", valueEncoding: "buffer" });

/** LevelDB takes its lock before it looks whether it may open what is there: asked so, it changes nothing. */
async function refuseOpen(folder: string): Promise<void> {
  const asked = raw(levelFolder(folder));
  try {
    await asked.open({ createIfMissing: false, errorIfExists: true });
  } catch (error) {
    if (causeOf(error).code === "LEVEL_LOCKED")
      throw new NomqError("data-in-use", `another process has the store in ${folder} open; stop it`, {
        cause: error,
      });
  } finally {
    await asked.close();
  }
}

async function openOrRepair(location: string): Promise<RawLevel> {
  if (existsSync(join(location, "CURRENT"))) {
    const level = raw(location);
    try {
      await level.open({ createIfMissing: false, compression: false });
      return level;
    } catch {
      await level.close().catch(() => undefined);
    }
  }
  await ClassicLevel.repair(location);
  const level = raw(location);
  await level.open({ createIfMissing: false, compression: false });
  return level;
}

function lenient(of: RawLevel): Rescued {
  const strict = overLevel(of);
  const complaints: string[] = [];
  const complain = (what: string, error: unknown): void =>
    void complaints.push(`${what}: ${causeOf(error).text}`);
  const get: Level["get"] = async (key) => {
    try {
      return await strict.get(key);
    } catch (error) {
      complain(`the value of ${key.toString("hex")}`, error);
      return undefined;
    }
  };
  const page: Level["page"] = async (range, limit) => {
    try {
      return await strict.page(range, limit);
    } catch (error) {
      complain(`entries from ${range.gte.toString("hex")} on`, error);
      return await oneByOne(of, range, limit);
    }
  };
  return {
    ...strict,
    complaints,
    get,
    page,
    getMany: async (keys) => await Promise.all(keys.map(get)),
    keys: async (range, limit) => (await page(range, limit)).map(([key]) => key),
  };
}

/** An iterator passes over a block that it cannot read, and says so only at its end; till there each entry counts. */
async function oneByOne(level: RawLevel, range: Range, limit: number): Promise<[Buffer, Buffer][]> {
  const iterator = level.iterator({ ...range, limit });
  const found: [Buffer, Buffer][] = [];
  try {
    for (;;) {
      const [entry] = await iterator.nextv(1);
      if (entry === undefined) return found;
      found.push(entry);
    }
  } catch {
    return found;
  } finally {
    await iterator.close();
  }
}
