import { mkdtemp, open, readdir, readFile, rm, stat, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { ClassicLevel } from "classic-level";
import { type Manifest, readManifest } from "./manifest.ts";

/** Far more than LevelDB ever wrote for us. */
const LARGEST_MANIFEST = 64 * 1024 * 1024;

/**
 * Removes from LevelDB's folder what its unfinished compactions and failed openings left there: tables that are not in
 * the current MANIFEST, empty logs that it does not rely on, temporary files. LevelDB does so only once it is open, for
 * which a full disk may have no room. Resolves with the number of files removed; where anything is in doubt, or another
 * process has the database open, that is 0. Nobody in this process may have it open.
 */
export async function removeLeftovers(location: string): Promise<number> {
  try {
    await using _lock = await lockOf(location);
    const manifest = await currentManifest(location);
    if (manifest === undefined || !(await isWhole(location, manifest))) return 0;
    const left = await leftIn(location, manifest);
    await Promise.all(left.map((name) => rm(join(location, name), { force: true })));
    return left.length;
  } catch {
    return 0;
  }
}

/**
 * LevelDB's own lock, without opening the database: an empty one elsewhere, whose lock file leads to the one to be
 * locked. Memory comes first, since the system's temporary folder may be on the same full disk.
 */
async function lockOf(location: string): Promise<AsyncDisposable> {
  const guard = await mkdtemp("/dev/shm/nomq-lock-").catch(() => mkdtemp(join(tmpdir(), "nomq-lock-")));
  const remove = (): Promise<void> => rm(guard, { recursive: true, force: true });
  const level = new ClassicLevel(guard);
  try {
    await symlink(resolve(location, "LOCK"), join(guard, "LOCK"));
    await level.open();
  } catch (error) {
    await level.close().catch(() => undefined);
    await remove();
    throw error;
  }
  return {
    [Symbol.asyncDispose]: async () => {
      await level.close();
      await remove();
    },
  };
}

/** What the database relies on. */
interface Used {
  readonly live: Manifest["live"];
  readonly logs: Manifest["logs"];
  readonly isUsed: (table: number) => boolean;
}

async function currentManifest(location: string): Promise<Used | undefined> {
  const name = /^(MANIFEST-\d+)\n$/.exec(await readFile(join(location, "CURRENT"), "latin1"))?.[1];
  if (name === undefined) return undefined;
  const path = join(location, name);
  if ((await stat(path)).size > LARGEST_MANIFEST) return undefined;
  const bytes = await readFile(path);
  const manifest = readManifest(bytes);
  if (manifest === undefined) return undefined;
  // A record that gives tables up may not be on disk yet: then a power cut would bring them back.
  const { live, named, logs } = manifest;
  const used = (await isOnDisk(path, bytes)) ? live : named;
  return { live, logs, isUsed: (table) => used.has(table) };
}

/** Writes a file's own bytes over it, since after an fsync that failed the next one succeeds with nothing written. */
async function isOnDisk(path: string, bytes: Buffer): Promise<boolean> {
  try {
    await using file = await open(path, "r+");
    const { bytesWritten } = await file.write(bytes, 0, bytes.length, 0);
    await file.sync();
    return bytesWritten === bytes.length;
  } catch {
    return false;
  }
}

const TABLE = /^(\d+)\.(?:ldb|sst)$/;
const LOG = /^(\d+)\.log$/;
const TEMPORARY = /^\d+\.dbtmp$/;

/** Whether each table that is live is there in full: a damaged database is left as it is. */
async function isWhole(location: string, { live }: Used): Promise<boolean> {
  const found = new Map<number, number>();
  for (const name of await readdir(location)) {
    const number = TABLE.exec(name)?.[1];
    if (number !== undefined) found.set(Number(number), (await stat(join(location, name))).size);
  }
  return [...live].every(([number, size]) => found.get(number) === size);
}

async function leftIn(location: string, { isUsed, logs }: Used): Promise<string[]> {
  const left: string[] = [];
  for (const name of await readdir(location)) {
    const table = TABLE.exec(name)?.[1];
    const log = LOG.exec(name)?.[1];
    const isLeft =
      (table !== undefined && !isUsed(Number(table))) ||
      (log !== undefined && !logs.has(Number(log)) && (await stat(join(location, name))).size === 0) ||
      TEMPORARY.test(name);
    if (isLeft) left.push(name);
  }
  return left;
}
