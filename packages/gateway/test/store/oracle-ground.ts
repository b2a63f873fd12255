import type { Store } from "@nomq/core";
import { createFakeClock, type FakeClock, settle } from "@nomq/core/testing";
import type { Ground } from "../../../nomq-core/test/hub-oracle/world.ts";
import type { LevelStore } from "../../src/store/durable-store.ts";
import { leftBy, makeStore, type TestFolder, testFolder } from "./folders.ts";

/**
 * A ground on disk for the hub's oracle. Opened a second time without having been closed, the store is what a
 * process finds that follows a killed one: a copy of the folder as it is at that moment.
 */
export async function diskGround(): Promise<Ground> {
  let calls = 0;
  let changed = (): void => undefined;
  const quiet = async (turns = 5): Promise<void> => {
    await settle(turns);
    while (calls > 0) {
      await new Promise<void>((resolve) => {
        changed = resolve;
      });
      await settle(Math.max(turns, 2));
    }
  };
  const watched = async <T>(call: Promise<T>): Promise<T> => {
    calls += 1;
    try {
      return await call;
    } finally {
      calls -= 1;
      changed();
    }
  };
  const clock = createFakeClock(undefined, () => quiet());
  const disk = killable(clock);
  const read = <T>(call: (store: LevelStore) => Promise<T>): Promise<T> => watched(call(disk.store()));
  const store: Store = {
    open: () => watched(disk.open()),
    commit: (batch) => read((one) => one.commit(batch)),
    waiting: (...wanted) => read((one) => one.waiting(...wanted)),
    retained: (...wanted) => read((one) => one.retained(...wanted)),
    latest: (channel) => read((one) => one.latest(channel)),
    receipt: (id) => read((one) => one.receipt(id)),
    history: (...wanted) => disk.store().history(...wanted),
    state: (owner) => disk.store().state(owner),
    [Symbol.asyncDispose]: () => watched(disk.close()),
  };
  return { clock, store, settle: quiet, [Symbol.asyncDispose]: () => disk.end() };
}

function killable(clock: FakeClock) {
  const past: (LevelStore | TestFolder)[] = [];
  let folder: TestFolder | undefined;
  let store: LevelStore | undefined;
  const held = (): LevelStore => {
    if (store === undefined) throw new Error("the store was never opened");
    return store;
  };
  return {
    store: held,
    async open() {
      const before = folder;
      folder =
        before === undefined ? await testFolder() : store === undefined ? before : await leftBy(before.path);
      if (store !== undefined && before !== undefined) past.push(store, before);
      store = makeStore(folder.path, { clock });
      return await store.open();
    },
    async close() {
      await store?.[Symbol.asyncDispose]();
      store = undefined;
    },
    async end() {
      for (const one of [...past, store, folder]) await one?.[Symbol.asyncDispose]();
    },
  };
}
