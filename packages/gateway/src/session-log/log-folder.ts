import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { codeOf } from "@nomq/core";

/** The name of the session log in the data folder; older parts end in `.1` to `.4`. */
const SESSION_LOG_FILE = "session-log.jsonl";
/** Files kept: the one being written and the older ones. */
const KEPT_FILES = 5;

/** The file that lines are appended to. */
export interface LogFile {
  /** Bytes in it. */
  readonly size: number;
  /** Whether its last line has its end. */
  readonly isWhole: boolean;
  /** Resolves with the bytes taken, which may be fewer. */
  write(bytes: Uint8Array): Promise<number>;
  close(): Promise<void>;
}

/** Where the files lie. */
export interface LogFolder {
  open(): Promise<LogFile>;
  /** Renames the closed file and its elders; the eldest goes. */
  rotate(): Promise<void>;
}

/** The session log of a data folder on disk; only its owner may read the files. */
export function logFolder(folder: string): LogFolder {
  const path = join(folder, SESSION_LOG_FILE);
  const nameOf = (age: number): string => (age === 0 ? path : `${path}.${age}`);
  return {
    async open() {
      // Read as well: its last byte tells whether a crash tore the last line.
      const handle = await open(path, "a+", 0o600);
      try {
        // A copy put back by hand may have more rights than it should.
        await handle.chmod(0o600);
        const { size } = await handle.stat();
        return fileOf(handle, { size, isWhole: await endsInNewline(handle, size) });
      } catch (error) {
        await handle.close();
        throw error;
      }
    },
    async rotate() {
      await rm(nameOf(KEPT_FILES - 1), { force: true });
      for (let age = KEPT_FILES - 2; age >= 0; age -= 1) await renameIfThere(nameOf(age), nameOf(age + 1));
    },
  };
}

function fileOf(handle: FileHandle, { size, isWhole }: Pick<LogFile, "size" | "isWhole">): LogFile {
  return {
    size,
    isWhole,
    write: async (bytes) => (await handle.write(bytes)).bytesWritten,
    close: () => handle.close(),
  };
}

async function endsInNewline(handle: FileHandle, size: number): Promise<boolean> {
  if (size === 0) return true;
  const last = Buffer.alloc(1);
  await handle.read(last, 0, 1, size - 1);
  return last[0] === 0x0a;
}

async function renameIfThere(from: string, to: string): Promise<void> {
  try {
    await rename(from, to);
  } catch (error) {
    if (codeOf(error) !== "ENOENT") throw error;
  }
}
