import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { rmSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Whether this user may mount a file system where nobody else sees it: root, or who may make such a namespace. */
export const canMount: boolean =
  spawnSync("unshare", ["-m", "sh", "-c", "mount -t tmpfs tmpfs /tmp && command -v nsenter"]).status === 0;

/** What a skipped suite says. */
export const MOUNT_ADVICE = "needs a mount namespace: run as root";

/** A small file system at a folder, in a mount namespace of its own. It goes with the test. */
export interface SmallDisk extends AsyncDisposable {
  /** What runs a program where the disk is. */
  readonly under: readonly string[];
  /** The folder as seen from here. */
  readonly path: string;
  /** Takes all but so many bytes. */
  fill(leave: number): void;
  free(): void;
}

const MIB = 1024 * 1024;

/** Mounts a tmpfs of so many MiB at a folder that exists. */
export async function mountSmallDisk(folder: string, sizeMiB: number): Promise<SmallDisk> {
  const script = `mount -t tmpfs -o size=${sizeMiB}m tmpfs "$0" && echo mounted && exec cat`;
  const holder: ChildProcess = spawn("unshare", ["-m", "sh", "-c", script, folder], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const ended = once(holder, "close");
  if (holder.stdout === null) throw new Error("the holder of the disk has no output");
  await Promise.race([
    once(holder.stdout, "data"),
    ended.then(() => {
      throw new Error("the small disk could not be mounted");
    }),
  ]);
  const path = `/proc/${holder.pid}/root${folder}`;
  const ballast = join(path, "ballast");
  return {
    under: ["nsenter", "-t", String(holder.pid), "-m"],
    path,
    fill(leave) {
      const { bavail, bsize } = statfsSync(path);
      try {
        writeFileSync(ballast, Buffer.alloc(Math.max(0, bavail * bsize - leave)));
      } catch (error) {
        // The store was quicker: nothing is left all the same.
        if (!String(error).includes("ENOSPC")) throw error;
      }
    },
    free: () => rmSync(ballast, { force: true }),
    async [Symbol.asyncDispose]() {
      holder.stdin?.end();
      await ended;
    },
  };
}

/** Of a store that looks at its room: it refuses below 32 MiB and takes again above 64. */
export const DISK_MIB = 160;
export const LITTLE: number = 16 * MIB;
