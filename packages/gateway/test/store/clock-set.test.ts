import { batchOf, createFakeClock, messageWrite, storedMessage } from "@nomq/core/testing";
import { expect, test } from "vitest";
import { makeStore, testFolder } from "./folders.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

test("what is retained expires in its own time, wherever the wall clock is set", async () => {
  await using folder = await testFolder();
  const clock = createFakeClock();
  await using store = makeStore(folder.path, { clock });
  const { seq } = await store.open();
  const expiresAt = clock.now() + HOUR_MS;
  const offers = [0, 1].map((at) => storedMessage(seq + at, { channel: `c/${at}`, retain: true, expiresAt }));
  await store.commit(batchOf(offers.map((one) => messageWrite(one))));
  clock.step(DAY_MS);
  store.clockWasSet?.([{ below: seq + 1, by: DAY_MS }]);
  await store.tidy();
  const kept = async (): Promise<unknown> =>
    (await store.retained(["#"], { limit: 9 })).map(({ channel }) => channel);
  expect(await kept()).toEqual(["c/0"]);
  await clock.advance(HOUR_MS - 1);
  await store.tidy();
  expect(await kept()).toEqual(["c/0"]);
  await clock.advance(1);
  await store.tidy();
  expect(await kept()).toEqual([]);
});
