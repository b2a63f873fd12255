import type { Clock } from "../clock.ts";

/** A clock that stands still until told otherwise. */
export interface FakeClock extends Clock {
  /**
   * Moves both times on by `ms`, running due timers in order, each at its own time. Between timers and at the end
   * it lets promises and immediates settle.
   */
  advance(ms: number): Promise<void>;
  /** Steps the wall clock only, as NTP or an operator does. */
  step(ms: number): void;
  /** Timers not yet due or cancelled: 0 after everything is closed. */
  pending(): number;
}

/** Lets promise continuations and immediates that are due run. */
export async function settle(turns = 5): Promise<void> {
  for (let turn = 0; turn < turns; turn += 1) await new Promise<void>((resolve) => setImmediate(resolve));
}

/**
 * Makes a {@link FakeClock}; `start` is its first wall time in Unix milliseconds (default 1,760,000,000,000). Where
 * more than promises and immediates must settle, a disk for one, `rest` waits for it.
 */
export function createFakeClock(
  start = 1_760_000_000_000,
  rest: () => Promise<void> = () => settle(),
): FakeClock {
  let wall = start;
  let elapsed = 0;
  let order = 0;
  const timers = new Map<number, { at: number; run: () => void }>();

  const nextDue = (until: number): [number, { at: number; run: () => void }] | undefined => {
    let found: [number, { at: number; run: () => void }] | undefined;
    for (const entry of timers) {
      if (entry[1].at <= until && (found === undefined || entry[1].at < found[1].at)) found = entry;
    }
    return found;
  };
  const moveTo = (at: number): void => {
    wall += at - elapsed;
    elapsed = at;
  };

  return {
    now: () => wall,
    monotonic: () => elapsed,
    after: (ms, run) => {
      const key = order++;
      timers.set(key, { at: elapsed + Math.max(ms, 0), run });
      return () => void timers.delete(key);
    },
    async advance(ms) {
      const until = elapsed + ms;
      await rest();
      for (let due = nextDue(until); due !== undefined; due = nextDue(until)) {
        timers.delete(due[0]);
        moveTo(Math.max(due[1].at, elapsed));
        due[1].run();
        await rest();
      }
      moveTo(until);
      await rest();
    },
    step: (ms) => {
      wall += ms;
    },
    pending: () => timers.size,
  };
}
