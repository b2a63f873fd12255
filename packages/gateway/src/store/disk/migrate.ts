import { existsSync } from "node:fs";
import { readdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { type Log, NomqError } from "@nomq/core";
import { metaKey } from "../layout/keys.ts";
import { readList, writeList } from "../layout/records.ts";
import { type FolderMark, freeBytes, makeFolder, readMark, writeMark } from "./folder.ts";
import { fromFormat1 } from "./format-1.ts";
import type { Level, OpenLevel } from "./level.ts";

type Entry = [key: Buffer, value: Buffer];

/** Writes a page of entries in the next format; `from` is the store it comes from, which nobody changes. */
export type Migration = (page: readonly Entry[], from: Level) => Promise<Entry[]>;

/** By the format they start from. */
export const MIGRATIONS: ReadonlyMap<number, Migration> = new Map([[1, fromFormat1]]);

const copyOf = (folder: string): string => `${folder}.migrating`;
const PROGRESS = metaKey("migrating");
const PAGE = 256;
const TOLD_EVERY = 100_000;
const LAST_KEY = Buffer.from([0xff]);

/** Puts a complete copy in its place when the process ended between the two renames. */
export async function completed(folder: string): Promise<void> {
  if (existsSync(folder) && (await readMark(folder)) !== undefined) return;
  if (existsSync(copyOf(folder)) && (await readMark(copyOf(folder))) !== undefined)
    await rename(copyOf(folder), folder);
}

/** How a store is brought to a newer format. */
export interface MigrationOptions {
  readonly mark: FolderMark;
  readonly steps: ReadonlyMap<number, Migration>;
  readonly to: number;
  readonly open: OpenLevel;
  readonly log: Log;
  /** The number of the last commit; rejects where the store must not be relied on. */
  readonly lastCommit: (level: Level) => Promise<number>;
}

/**
 * Brings a folder of an older format up to `to`. Everything is written into a copy beside it, which takes its place
 * when it is complete; the old store stays as `FOLDER.format-N`. Cut off midway, the next call goes on where this one
 * ended, unless the old store has changed since. The old store's lock is held all the while.
 */
export async function migrated(folder: string, options: MigrationOptions): Promise<void> {
  for (let { mark } = options; mark.format < options.to; mark = { ...mark, format: mark.format + 1 }) {
    const step = options.steps.get(mark.format);
    if (step === undefined)
      throw new NomqError(
        "store-failed",
        `the store in ${folder} has format ${mark.format}, which this version cannot bring to ${options.to}. ` +
          "Nothing was changed.",
      );
    await migrateOnce(folder, { ...options, mark, step });
  }
}

type OneStep = MigrationOptions & { readonly step: Migration };

async function migrateOnce(folder: string, options: OneStep): Promise<void> {
  const { mark, open, log } = options;
  const to = mark.format + 1;
  const source = await open(folder, { create: false });
  try {
    const commit = await options.lastCommit(source);
    await needRoom(folder);
    log.info(`the store is brought to format ${to}`, { folder });
    const entries = await copied({ folder, source, from: `${mark.id} ${commit}` }, options);
    await writeMark(copyOf(folder), { ...mark, format: to });
    const kept = await freeName(`${folder}.format-${mark.format}`);
    // A folder with an open file cannot be renamed there.
    if (process.platform === "win32") await source.close();
    await rename(folder, kept);
    await rename(copyOf(folder), folder);
    log.info(`the store has format ${to}; remove the old one when all is well`, { folder, entries, kept });
  } finally {
    await source.close();
  }
}

interface Copying {
  readonly folder: string;
  readonly source: Level;
  /** Names the contents that are copied. */
  readonly from: string;
}

async function copied(copying: Copying, { step, open, log }: OneStep): Promise<number> {
  const { folder, source, from } = copying;
  const { target, after } = await begun(copyOf(folder), { from, open });
  try {
    let entries = 0;
    for (let gte = after; ; ) {
      const page = await source.page({ gte, lt: LAST_KEY }, PAGE);
      const last = page.at(-1)?.[0];
      const batch = target.batch();
      for (const [key, value] of await step(page, source)) batch.put(key, value);
      if (last === undefined) batch.del(PROGRESS);
      else {
        gte = Buffer.concat([last, Buffer.alloc(1)]);
        batch.put(PROGRESS, writeList(PROGRESS, [from, gte.toString("hex")]));
      }
      await batch.write({ sync: last === undefined });
      if (last === undefined) return entries;
      const told = Math.floor(entries / TOLD_EVERY);
      entries += page.length;
      if (Math.floor(entries / TOLD_EVERY) > told) log.info("the store is being copied", { folder, entries });
    }
  } finally {
    await target.close();
  }
}

/** The copy, and the first key that is not in it. */
async function begun(
  copy: string,
  { from, open }: { readonly from: string; readonly open: OpenLevel },
): Promise<{ target: Level; after: Buffer }> {
  if (existsSync(copy)) {
    const target = await open(copy, { create: false }).catch(() => undefined);
    const value = await target?.get(PROGRESS);
    const [known, after = ""] = value === undefined ? [] : readList(PROGRESS, value);
    if (target !== undefined && known === from) return { target, after: Buffer.from(after, "hex") };
    await target?.close();
    await rm(copy, { recursive: true, force: true });
  }
  await makeFolder(copy);
  return { target: await open(copy, { create: true }), after: Buffer.alloc(0) };
}

async function needRoom(folder: string): Promise<void> {
  const names = await readdir(join(folder, "level"));
  const sizes = await Promise.all(names.map(async (name) => (await stat(join(folder, "level", name))).size));
  const wanted = sizes.reduce((sum, size) => sum + size, 0);
  const free = await freeBytes(folder).catch(() => Number.POSITIVE_INFINITY);
  if (free < wanted)
    throw new NomqError(
      "store-failed",
      `the store in ${folder} is of an older format and is copied first, which takes ${wanted} bytes; the disk has ` +
        `${free}. Nothing was changed: free some room.`,
    );
}

async function freeName(name: string): Promise<string> {
  for (let more = 1; ; more += 1) {
    const tried = more === 1 ? name : `${name}-${more}`;
    if (!existsSync(tried)) return tried;
  }
}
