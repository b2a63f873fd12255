import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { NomqError } from "@nomq/core";
import { ClassicLevel } from "classic-level";
import type { Range } from "../layout/keys.ts";
import { isFullDisk } from "./full-disk.ts";
import { opened, untouched } from "./ways-out.ts";

/** What the writer puts into one atomic batch. */
export interface Operations {
  put(key: Buffer, value: Buffer): void;
  del(key: Buffer): void;
}

export interface LevelBatch extends Operations {
  readonly length: number;
  write(options: { readonly sync: boolean }): Promise<void>;
  discard(): Promise<void>;
}

/** A view of one moment; close it soon: what is deleted meanwhile stays on disk. */
export interface Moment {
  close(): Promise<void>;
}

/** The part of LevelDB that the store stands on. Only the writer may write. */
export interface Level {
  get(key: Buffer): Promise<Buffer | undefined>;
  getMany(keys: readonly Buffer[], at?: Moment): Promise<(Buffer | undefined)[]>;
  /** The first entries of a range. Closes what it opened before it answers. */
  page(range: Range, limit: number, at?: Moment): Promise<[key: Buffer, value: Buffer][]>;
  keys(range: Range, limit: number, at?: Moment): Promise<Buffer[]>;
  /** The last entries of a range, from its end. */
  back(range: Range, limit: number, at?: Moment): Promise<[key: Buffer, value: Buffer][]>;
  batch(): LevelBatch;
  moment(): Moment;
  compact(range: Range): Promise<void>;
  close(): Promise<void>;
}

export type RawLevel = ClassicLevel<Buffer, Buffer>;

/** Opens the database of a folder. Tests hand in one that fails. */
export type OpenLevel = (folder: string, options: { readonly create: boolean }) => Promise<Level>;

const WRITE_BUFFER = 4 * 1024 * 1024;
const CACHE = 8 * 1024 * 1024;
/** Entries an iterator hands over at a time, in bytes: large values must not wait for each other. */
const HANDED_OVER = 65_536;

/** Where LevelDB's own files lie. */
export const levelFolder = (folder: string): string => join(folder, "level");

export const openLevel: OpenLevel = async (folder, { create }) => {
  const location = levelFolder(folder);
  if (!existsSync(join(location, "CURRENT")) && (!create || hasTables(location)))
    throw new NomqError(
      "store-damaged",
      `${join(location, "CURRENT")} is missing: LevelDB would start empty. ${untouched(folder)}`,
    );
  const level = new ClassicLevel<Buffer, Buffer>(location, {
    keyEncoding: "buffer",
    valueEncoding: "buffer",
  });
  try {
    await level.open({
      createIfMissing: create,
      compression: false,
      cacheSize: CACHE,
      writeBufferSize: WRITE_BUFFER,
    });
  } catch (error) {
    await level.close().catch(() => undefined);
    throw translated(error, folder);
  }
  return overLevel(level);
};

const hasTables = (location: string): boolean =>
  existsSync(location) && readdirSync(location).some((file) => file.endsWith(".ldb"));

function translated(error: unknown, folder: string): NomqError {
  const { code, text } = causeOf(error);
  if (code === "LEVEL_LOCKED")
    return new NomqError(
      "data-in-use",
      `another process has the store in ${folder} open. Stop it, or choose another folder.`,
      { cause: error },
    );
  if (code === "LEVEL_CORRUPTION" || (code === "LEVEL_IO_ERROR" && /No such file/.test(text)))
    return new NomqError("store-damaged", `the store in ${folder} is damaged: ${text}. ${opened(folder)}`, {
      cause: error,
    });
  const [what, advice] = isFullDisk(error)
    ? (["store-full", ". Free some room on its disk; nothing is lost"] as const)
    : (["store-failed", ""] as const);
  return new NomqError(what, `the store in ${folder} could not be opened: ${text}${advice}`, {
    cause: error,
  });
}

/** LevelDB's own code and words stand in the cause. */
export function causeOf(error: unknown): { code: string; text: string } {
  const inner = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  if (!(inner instanceof Error)) return { code: "", text: String(inner) };
  const code = "code" in inner && typeof inner.code === "string" ? inner.code : "";
  return { code, text: inner.message };
}

export function overLevel(level: RawLevel): Level {
  const options = { highWaterMarkBytes: HANDED_OVER };
  // What `moment` hands out is LevelDB's snapshot; nothing else makes one.
  const seenAt = (at: Moment | undefined) =>
    at === undefined ? {} : { snapshot: at as ReturnType<typeof level.snapshot> };
  return {
    get: (key) => level.get(key),
    getMany: (keys, at) => level.getMany([...keys], seenAt(at)),
    page: (range, limit, at) => level.iterator({ ...range, limit, ...options, ...seenAt(at) }).all(),
    keys: (range, limit, at) => level.keys({ ...range, limit, ...options, ...seenAt(at) }).all(),
    back: (range, limit, at) =>
      level.iterator({ ...range, limit, reverse: true, ...options, ...seenAt(at) }).all(),
    batch: () => {
      const batch = level.batch();
      return {
        put: (key, value) => void batch.put(key, value),
        del: (key) => void batch.del(key),
        get length() {
          return batch.length;
        },
        write: (how) => batch.write(how),
        discard: () => batch.close(),
      };
    },
    moment: () => level.snapshot(),
    compact: (range) => level.compactRange(range.gte, range.lt),
    close: () => level.close(),
  };
}
