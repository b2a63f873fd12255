import { randomUUID } from "node:crypto";
import { mkdir, open, readFile, rename, rm, stat, statfs } from "node:fs/promises";
import { join } from "node:path";
import { codeOf, NomqError } from "@nomq/core";
import { untouched } from "./ways-out.ts";

/** How this version lays a store out. */
export const FORMAT = 2;

/** What lies beside LevelDB, so that an emptied database is not taken for a new one. */
export interface FolderMark {
  readonly format: number;
  readonly id: string;
}

const MARK = "store.json";
const RESERVE = "reserve";
const CHUNK = Buffer.alloc(1024 * 1024);

/** The mark of a folder; undefined where no store has been. Refuses what this version cannot read. */
export async function readMark(folder: string): Promise<FolderMark | undefined> {
  const path = join(folder, MARK);
  const text = await readFile(path, "utf8").catch((error: unknown) => {
    if (codeOf(error) === "ENOENT") return undefined;
    throw new NomqError("store-failed", `${path} could not be read: ${String(error)}`, { cause: error });
  });
  if (text === undefined) return undefined;
  const mark = parseMark(text);
  if (mark === undefined)
    throw new NomqError("store-damaged", `${path} is not a store's mark. ${untouched(folder)}`);
  if (mark.format > FORMAT)
    throw new NomqError(
      "store-newer",
      `the store in ${folder} has format ${mark.format}; this version knows ${FORMAT}. Use the newer version, or ` +
        "another folder.",
    );
  return mark;
}

function parseMark(text: string): FolderMark | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== "object" || value === null || !("format" in value) || !("id" in value))
      return undefined;
    const { format, id } = value;
    return typeof format === "number" && Number.isInteger(format) && format > 0 && typeof id === "string"
      ? { format, id }
      : undefined;
  } catch {
    return undefined;
  }
}

/** Written once the database is there, and on disk when this resolves. */
export async function writeMark(folder: string, mark: FolderMark): Promise<void> {
  const path = join(folder, MARK);
  const half = `${path}.${randomUUID()}`;
  const file = await open(half, "wx", 0o600);
  try {
    await file.writeFile(`${JSON.stringify(mark)}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(half, path);
  const parent = await open(folder, "r");
  try {
    await parent.sync();
  } finally {
    await parent.close();
  }
}

export async function makeFolder(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
}

/** Whether a store's mark has been removed. What cannot be asked is taken to be there. */
export const isMarkGone = (folder: string): Promise<boolean> =>
  stat(join(folder, MARK)).then(
    () => false,
    (error: unknown) => codeOf(error) === "ENOENT",
  );

/** Bytes that the store's disk has left for us. */
export async function freeBytes(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder);
  return bavail * bsize;
}

/** A file that is given up when the disk is full, so that the database can open and delete. */
export async function keepReserve(folder: string, bytes: number): Promise<void> {
  const path = join(folder, RESERVE);
  const there = await stat(path).then(
    (found) => found.size,
    () => 0,
  );
  if (there >= bytes) return;
  const file = await open(path, "w", 0o600);
  try {
    // Written, not only claimed: a hole takes no room.
    for (let left = bytes; left > 0; left -= CHUNK.length)
      await file.write(CHUNK, 0, Math.min(left, CHUNK.length));
  } catch {
    // Half a reserve would only take the room that is left.
    await dropReserve(folder);
  } finally {
    await file.close();
  }
}

export const dropReserve = (folder: string): Promise<void> => rm(join(folder, RESERVE), { force: true });
