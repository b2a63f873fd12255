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
