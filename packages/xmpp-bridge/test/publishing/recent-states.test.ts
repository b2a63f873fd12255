import { createFakeClock } from "@nomq/core/testing";
import { expect, test } from "vitest";
import { createRecentStates } from "../../src/publishing/recent-states.ts";

test("states are recent that were taken within 40 s before the last, however long ago that is", async () => {
  const clock = createFakeClock();
  const recent = createRecentStates(clock);
  recent.taken("old");
  await clock.advance(30_000);
  recent.taken("a");
  recent.taken("b");
  await clock.advance(10_001);
  recent.taken("a");
  expect(recent.all()).toEqual(["b", "a"]);
  await clock.advance(3_600_000);
  expect(recent.all()).toEqual(["b", "a"]);
  recent.taken("c");
  expect(recent.all()).toEqual(["c"]);
});

test("ten thousand are known", () => {
  const recent = createRecentStates(createFakeClock());
  for (let number = 0; number < 10_500; number += 1) recent.taken(`${number}`);
  expect(recent.all()).toHaveLength(10_000);
  expect(recent.all()[0]).toBe("500");
});
