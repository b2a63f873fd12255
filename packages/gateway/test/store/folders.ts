import { cp, mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createFakeClock, type FakeClock, type StoreContract, type StoreHarness } from "@nomq/core/testing";
import {
  type DurableStoreDoors,
  type DurableStoreOptions,
  LevelStore,
} from "../../src/store/durable-store.ts";

/** A folder that goes with the test. */
export interface TestFolder extends AsyncDisposable {
  readonly path: string;
}

export async function testFolder(): Promise<TestFolder> {
  const path = await mkdtemp(join(tmpdir(), "nomq-store-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** What a process leaves on disk that is killed now. */
export async function leftBy(folder: string): Promise<TestFolder> {
  const copy = await testFolder();
  for (;;) {
    const before = await tablesIn(folder);
    const isWhole = await cp(folder, copy.path, { recursive: true }).then(
      () => true,
      () => false,
    );
    // LevelDB tidies its tables in a thread of its own: a copy of two moments is what no kill leaves.
    if (isWhole && (await tablesIn(folder)) === before) return copy;
    await rm(copy.path, { recursive: true });
  }
}

async function tablesIn(folder: string): Promise<string> {
  const files = (await filesIn(folder)).filter(({ name }) => !name.endsWith(".log"));
  return files
    .map(({ name, size }) => `${name} ${size}`)
    .sort()
    .join();
}

/** What LevelDB's files hold in all. */
export async function bytesIn(folder: string): Promise<number> {
  return (await filesIn(folder)).reduce((sum, { size }) => sum + size, 0);
}

/** LevelDB's files; one that went while they were looked at, as LevelDB tidies in a thread of its own, holds nothing. */
async function filesIn(folder: string): Promise<readonly { readonly name: string; readonly size: number }[]> {
  const path = join(folder, "level");
  const sizeOf = (name: string): Promise<number> =>
    stat(join(path, name)).then(
      ({ size }) => size,
      () => 0,
    );
  return Promise.all((await readdir(path)).map(async (name) => ({ name, size: await sizeOf(name) })));
}

/** Small disks must not refuse: tests that want that say so. */
const NO_ROOM_NEEDED = { low: 0, high: 0, reserve: 0 } as const;

export function makeStore(
  folder: string,
  options: Partial<DurableStoreOptions> & { readonly clock?: FakeClock } = {},
  doors: DurableStoreDoors = {},
): LevelStore {
  return new LevelStore({ folder, clock: createFakeClock(), space: NO_ROOM_NEEDED, ...options }, doors);
}

/** A store on disk that can be opened again, and where it lies now. */
export interface Disk extends StoreHarness {
  readonly folder: string;
  tidy(): Promise<void>;
}

/** Killed, the next store finds a copy made at that moment. */
export async function openDisk(): Promise<Disk> {
  let folder = await testFolder();
  let store = makeStore(folder.path);
  const older: (LevelStore | TestFolder)[] = [];
  return {
    get store() {
      return store;
    },
    get folder() {
      return folder.path;
    },
    tidy: () => store.tidy(),
    reopen: async (how) => {
      if (how === "kill") {
        older.push(store, folder);
        folder = await leftBy(folder.path);
      } else await store[Symbol.asyncDispose]();
      store = makeStore(folder.path);
      await store.open();
    },
    [Symbol.asyncDispose]: async () => {
      for (const one of [...older, store, folder]) await one[Symbol.asyncDispose]();
    },
  };
}

export const durableContract: StoreContract = { make: openDisk };
