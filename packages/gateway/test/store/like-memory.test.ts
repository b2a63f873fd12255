import { createMemoryStore } from "@nomq/core";
import { createFakeClock, createPrng } from "@nomq/core/testing";
import { expect, test } from "vitest";
import { checkStore } from "../../src/store/index.ts";
import { contents, drawBatch, opened } from "./drawn.ts";
import { openDisk } from "./folders.ts";

const isLong = process.env["NOMQ_LONG"] !== undefined;
const seeds = Array.from({ length: isLong ? 100 : 12 }, (_, at) => at + 1);
test.each(seeds)("the durable store answers as the memory store does, over kills: seed %i", async (seed) => {
  const prng = createPrng(seed);
  const memory = createMemoryStore({ clock: createFakeClock() });
  await memory.open();
  await using disk = await openDisk();
  await disk.store.open();
  let last = 1_000;
  for (let round = 0; round < 40; round += 1) {
    const batch = drawBatch(prng, () => {
      last += 1;
      return last;
    });
    await memory.commit(batch);
    await disk.store.commit(batch);
    if (prng.chance(0.15)) {
      await disk.reopen(prng.chance(0.5) ? "kill" : "stop");
      expect(opened(await disk.store.open())).toEqual(opened(await memory.open()));
    }
    if (prng.chance(0.1)) await disk.tidy();
    if (round % 5 === 4) expect(await contents(disk.store, last)).toEqual(await contents(memory, last));
  }
  await disk.tidy();
  await disk.store[Symbol.asyncDispose]();
  expect(await checkStore(disk.folder)).toMatchObject({ faults: [], leftover: 0, quarantined: 0 });
});
