import type { CancelTimer, Clock } from "@nomq/core";

/** A clock's timer counts in a signed 32-bit number of milliseconds; sessions may last 136 years. */
const LONGEST_MS = 2 ** 31 - 1;

/** Calls `run` at a time of the clock's monotonic milliseconds, however far; infinite: never. */
export function runAt(clock: Clock, deadline: number, run: () => void): CancelTimer {
  if (deadline === Number.POSITIVE_INFINITY) return () => undefined;
  let cancel: CancelTimer = () => undefined;
  const arm = (): void => {
    const left = Math.max(0, deadline - clock.monotonic());
    cancel = clock.after(Math.min(left, LONGEST_MS), () => (left > LONGEST_MS ? arm() : run()));
  };
  arm();
  return () => cancel();
}

/** A wall clock that moved by more than this against monotonic time was set (the hub's rule). */
const STEP_MS = 30_000;
const WATCH_MS = 10_000;

/** Calls `stepped` whenever the wall clock was set. */
export function watchSteps(clock: Clock, stepped: () => void): CancelTimer {
  let offset = clock.now() - clock.monotonic();
  let cancel: CancelTimer = () => undefined;
  const look = (): void => {
    const now = clock.now() - clock.monotonic();
    const by = Math.abs(now - offset);
    offset = now;
    if (by > STEP_MS) stepped();
    cancel = clock.after(WATCH_MS, look);
  };
  cancel = clock.after(WATCH_MS, look);
  return () => cancel();
}
