import { createMemoryStore, type Message, type Store } from "@nomq/core";
import { createFaultyStore, settle } from "@nomq/core/testing";
import { expect, test } from "vitest";

const message = (seq: number): Message => ({
  id: `${seq}`.padStart(32, "0"),
  seq,
  channel: "a",
  payload: new TextEncoder().encode(`${seq}`),
  qos: 1,
  retain: true,
  priority: 0,
  publishedAt: 1,
  origin: "test",
});
const put = (store: Store, seq: number): Promise<void> =>
  store.commit({ offers: [{ write: "message", message: message(seq), to: [] }], facts: [] });
const latest = async (store: Store): Promise<number | undefined> => (await store.latest("a"))?.seq;

/** What became of a promise by now. */
async function stateOf(work: Promise<unknown>): Promise<"open" | "done" | "failed"> {
  let state: "open" | "done" | "failed" = "open";
  work.then(
    () => {
      state = "done";
    },
    () => {
      state = "failed";
    },
  );
  await settle();
  return state;
}

test("a commit that hangs has no effect until the store is healed", async () => {
  const store = createFaultyStore(createMemoryStore());
  await store.open();
  store.hang();
  const work = put(store, 1);
  expect(await stateOf(work)).toBe("open");
  expect(await latest(store)).toBeUndefined();
  store.heal();
  await work;
  expect(await latest(store)).toBe(1);
});

test("reads hang only where everything does", async () => {
  const store = createFaultyStore(createMemoryStore());
  await store.open();
  store.hang();
  expect(await stateOf(store.latest("a"))).toBe("done");
  store.hang("everything");
  expect(await stateOf(store.latest("a"))).toBe("open");
  expect(await stateOf(store.retained(["#"], { limit: 1 }))).toBe("open");
});

test("a commit that fails changes nothing, also one that hung before", async () => {
  const store = createFaultyStore(createMemoryStore());
  await store.open();
  store.hang();
  const hung = put(store, 1);
  await settle();
  store.fail();
  await expect(hung).rejects.toThrow("store-failed");
  await expect(put(store, 2)).rejects.toThrow("store-failed");
  store.heal();
  expect(await latest(store)).toBeUndefined();
});

test.for(["in", "out"] as const)(
  "a crash with the last commit %s answers nobody and keeps the rest",
  async (last) => {
    const store = createFaultyStore(createMemoryStore());
    const first = await store.open();
    await put(store, first.seq);
    const cut = put(store, first.seq + 1);
    const reopened = store.crash(last);
    const second = await reopened.open();
    expect(await stateOf(cut)).toBe("open");
    expect(await stateOf(store.latest("a"))).toBe("open");
    expect(await latest(reopened)).toBe(last === "in" ? first.seq + 1 : first.seq);
    expect(second.seq).toBeGreaterThan(first.seq + 1);
  },
);
