import fc from "fast-check";
import { expect, test } from "vitest";
import { LINK_TIMES } from "../../src/link/options.ts";
import { patienceAfter } from "../../src/link/patience.ts";
import { type LinkInput, type Phase, type Step, step } from "../../src/link/transition.ts";
import type { StreamEnd } from "../../src/stream/stream-end.ts";

const runs = process.env["NOMQ_LONG"] ? 50_000 : 1_000;
const broken: StreamEnd = { is: "closed", reason: "reset" };
const wrong: StreamEnd = { is: "refused", reason: "not-authorized", fatal: true };

const ended = (phase: Phase, end: StreamEnd, random = 0, now = 0): Phase =>
  step(phase, { is: "ended", end }, { now, random, times: LINK_TIMES }).phase;
const delayOf = (phase: Phase): number => (phase.is === "waiting" ? phase.delayMs : Number.NaN);

test("delays double with each failure up to the longest, spread over half of each", () => {
  const least: number[] = [];
  for (let failures = 0; failures < 9; failures += 1)
    least.push(delayOf(ended({ is: "connecting", failures }, broken)));
  expect(least).toEqual([125, 250, 500, 1000, 2000, 4000, 7500, 7500, 7500]);
  expect(delayOf(ended({ is: "connecting", failures: 0 }, broken, 0.999))).toBeCloseTo(249.9, 0);
  expect(delayOf(ended({ is: "connecting", failures: 5000 }, broken))).toBe(7500);
});

test("what only an operator can mend waits the longest, from the first time on", () => {
  expect(delayOf(ended({ is: "connecting", failures: 0 }, wrong))).toBe(30_000);
});

test("a session that lived begins the delays anew; one that died at once does not", () => {
  expect(delayOf(ended({ is: "online", failures: 4, upAt: 0 }, broken, 0, 5_000))).toBe(125);
  expect(delayOf(ended({ is: "online", failures: 4, upAt: 0 }, broken, 0, 4_999))).toBe(2000);
});

test("a server that falls silent at each window has longer; one that was silent once has not", () => {
  const silent: StreamEnd = { is: "silent", reason: "" };
  const after = (patience: number, end: StreamEnd, upMs?: number): number =>
    patienceAfter(patience, { end, upMs }, LINK_TIMES);
  expect([after(0, silent, 16_000), after(1, silent, 30_000), after(3, silent, 90_000)]).toEqual([1, 2, 3]);
  expect(after(0, silent, 3_600_000)).toBe(0);
  expect(after(2, broken, 1_000)).toBe(0);
  expect(after(2, wrong)).toBe(2);
});

const anyInput = fc.constantFrom<LinkInput>(
  { is: "start" },
  { is: "online" },
  { is: "ended", end: broken },
  { is: "ended", end: wrong },
  { is: "due" },
  { is: "stop" },
);

test("whatever comes, there is one stream or one timer or neither, and after a stop it closes", () => {
  fc.assert(
    fc.property(
      fc.array(anyInput, { maxLength: 40 }),
      fc.double({ min: 0, max: 0.99, noNaN: true }),
      (inputs, random) => {
        let phase: Phase = { is: "idle" };
        const open = { streams: 0, timers: 0, stopped: false };
        for (const input of inputs) {
          const isStream = phase.is === "connecting" || phase.is === "online" || phase.is === "closing";
          if (input.is === "ended" && isStream) open.streams -= 1;
          if (input.is === "due" && phase.is === "waiting") open.timers -= 1;
          const next: Step = step(phase, input, { now: 0, random, times: LINK_TIMES });
          for (const effect of next.effects) {
            if (effect === "connect") open.streams += 1;
            if (effect === "wait") open.timers += 1;
            if (effect === "stop-waiting") open.timers -= 1;
          }
          phase = next.phase;
          open.stopped ||= input.is === "stop";
          expect(open.streams).toBe(["connecting", "online", "closing"].includes(phase.is) ? 1 : 0);
          expect(open.timers).toBe(phase.is === "waiting" ? 1 : 0);
          if (open.stopped) expect(["closing", "closed"]).toContain(phase.is);
          if (phase.is === "waiting") expect(phase.delayMs).toBeGreaterThan(0);
        }
      },
    ),
    { numRuns: runs },
  );
});
