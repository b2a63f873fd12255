import { expect, test } from "vitest";
import { createRateWatch, type SlowAnswers } from "../../src/link/rate-watch.ts";

interface Run {
  readonly perSecond: number;
  readonly seconds: number;
  readonly busy?: (answer: number) => boolean;
}

function watched({ perSecond, seconds, busy = () => true }: Run): readonly SlowAnswers[] {
  const watch = createRateWatch();
  const told: SlowAnswers[] = [];
  for (let answer = 0; answer <= perSecond * seconds; answer += 1) {
    const slow = watch.answered((answer * 1000) / perSecond, 200, busy(answer));
    if (slow !== undefined) told.push(slow);
  }
  return told;
}

test.each([45, 23])("%i answers a second to somebody who always has more are said once", (perSecond) => {
  expect(watched({ perSecond, seconds: 60 })).toEqual([
    { answersPerSecond: perSecond, bytesPerSecond: perSecond * 200 },
  ]);
});

test("a server that is fast, or has too little to do, is not slow", () => {
  expect(watched({ perSecond: 300, seconds: 60 })).toEqual([]);
  expect(watched({ perSecond: 45, seconds: 60, busy: (answer) => answer % 100 !== 0 })).toEqual([]);
  expect(watched({ perSecond: 45, seconds: 9 })).toEqual([]);
});

test("a limit that was lifted is said no more, and one that nobody meets any more is forgotten", () => {
  const watch = createRateWatch();
  let now = 0;
  let told = 0;
  const run = (perSecond: number, seconds: number): void => {
    for (let answer = 0; answer < perSecond * seconds; answer += 1) {
      now += 1000 / perSecond;
      if (watch.answered(now, 200, true) !== undefined) told += 1;
    }
  };
  run(45, 11);
  expect(watch.found(now)).toMatchObject({ answersPerSecond: 45 });
  run(23, 20);
  expect(watch.found(now)).toMatchObject({ answersPerSecond: 23 });
  run(300, 21);
  expect(watch.found(now)).toBeUndefined();
  run(45, 20);
  expect(watch.found(now)).toMatchObject({ answersPerSecond: 45 });
  expect(watch.found(now + 61_000)).toBeUndefined();
  // In the log it stands once.
  expect(told).toBe(1);
});
