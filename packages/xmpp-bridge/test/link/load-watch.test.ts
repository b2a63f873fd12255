import { expect, test } from "vitest";
import { createLoadWatch } from "../../src/link/load-watch.ts";

/** Every second so many requests, taken `answerMs` later; whether it was busy after each second. */
function seconds(requests: number, answerMs: number): readonly boolean[] {
  const load = createLoadWatch(32);
  return Array.from({ length: 10 }, (_, second) => {
    load.saw(second * 1000, requests);
    load.saw(second * 1000 + answerMs, 0);
    return load.isBusy(second * 1000 + answerMs);
  }).slice(1);
}

test("a window that is filled again at once is busy, also where the server answers all of it in one go", () => {
  expect(new Set(seconds(32, 990))).toEqual(new Set([true]));
});

test("somebody who sends a window now and then, to a server that answers at once, leaves it idle", () => {
  const load = createLoadWatch(32);
  load.saw(0, 32);
  load.saw(50, 0);
  load.saw(1_000, 3);
  expect(load.isBusy(1_000)).toBe(false);
});

test("few requests that are always open are not busy", () => {
  expect(new Set(seconds(8, 990))).toEqual(new Set([false]));
});
