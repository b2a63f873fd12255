import { createFakeClock } from "@nomq/core/testing";
import { expect, test } from "vitest";

test("timers run in the order of their times, each at its own, ties as they were set", async () => {
  const clock = createFakeClock(1_000);
  const ran: string[] = [];
  const note = (name: string) => () => ran.push(`${name} at ${clock.now()}`);
  clock.after(20, note("late"));
  clock.after(10, note("first"));
  clock.after(10, note("second"));
  await clock.advance(15);
  expect(ran).toEqual(["first at 1010", "second at 1010"]);
  expect(clock.monotonic()).toBe(15);
  await clock.advance(5);
  expect(ran.at(-1)).toBe("late at 1020");
});

test("a timer set by a timer, or by a promise it settles, runs in the same advance when it is due", async () => {
  const clock = createFakeClock();
  const ran: number[] = [];
  clock.after(10, () => {
    ran.push(clock.monotonic());
    void Promise.resolve().then(() => clock.after(5, () => ran.push(clock.monotonic())));
  });
  await clock.advance(20);
  expect(ran).toEqual([10, 15]);
});

test("a cancelled timer never runs, and cancelling twice or too late is harmless", async () => {
  const clock = createFakeClock();
  let runs = 0;
  const cancelled = clock.after(5, () => (runs += 1));
  const done = clock.after(6, () => (runs += 1));
  cancelled();
  cancelled();
  await clock.advance(10);
  done();
  expect(runs).toBe(1);
  expect(clock.pending()).toBe(0);
});

test("a timer that throws does not stop the clock for the others", async () => {
  const clock = createFakeClock();
  const ran: string[] = [];
  clock.after(1, () => {
    throw new Error("in a timer");
  });
  clock.after(2, () => ran.push("next"));
  await expect(clock.advance(5)).rejects.toThrow("in a timer");
  await clock.advance(5);
  expect(ran).toEqual(["next"]);
});

test("a step moves the wall clock only", async () => {
  const clock = createFakeClock(5_000);
  let ran = false;
  clock.after(100, () => {
    ran = true;
  });
  clock.step(-3_600_000);
  expect([clock.now(), clock.monotonic()]).toEqual([5_000 - 3_600_000, 0]);
  await clock.advance(99);
  expect(ran).toBe(false);
  await clock.advance(1);
  expect(ran).toBe(true);
  expect(clock.now()).toBe(5_100 - 3_600_000);
});
