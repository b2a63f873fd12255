import { batchOf, createFakeClock, interestWrite, messageWrite, storedMessage } from "@nomq/core/testing";
import { expect, test } from "vitest";
import { checkStore } from "../../src/store/index.ts";
import { makeStore, testFolder } from "./folders.ts";

const HOUR_MS = 3_600_000;

test("receipts are kept as long as was said, over restarts, and a shorter time said later counts for all", async () => {
  await using folder = await testFolder();
  const clock = createFakeClock();
  const kept = (forMs: number) => makeStore(folder.path, { clock, receipts: { forMs }, history: [] });
  const first = kept(3 * HOUR_MS);
  const { seq } = await first.open();
  const early = storedMessage(seq);
  // Receipts of 256 numbers lie together and go together.
  const late = storedMessage(seq + 300);
  await first.commit(batchOf([interestWrite("one"), messageWrite(early, ["one"])]));
  await clock.advance(2 * HOUR_MS);
  const end = { write: "outcome", name: "one", seq, is: "delivered", at: clock.now() } as const;
  await first.commit(batchOf([messageWrite(late, ["one"])], [end]));
  await first[Symbol.asyncDispose]();

  const told = async (store: ReturnType<typeof kept>): Promise<unknown[]> => {
    await store.open();
    await store.tidy();
    const at = await Promise.all([early, late].map(async ({ id }) => (await store.receipt(id))?.at));
    await store[Symbol.asyncDispose]();
    return at;
  };
  expect(await told(kept(3 * HOUR_MS))).toEqual(["delivered", "stored"]);
  await clock.advance(1.5 * HOUR_MS);
  expect(await told(kept(3 * HOUR_MS))).toEqual([undefined, "stored"]);
  expect(await told(kept(HOUR_MS))).toEqual([undefined, undefined]);
  expect(await checkStore(folder.path)).toMatchObject({ faults: [], receipts: 0, rows: 1 });
});
