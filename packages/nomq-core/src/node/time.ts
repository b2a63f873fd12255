import type { Clock } from "../clock.ts";

/** The node's clocks. A step of the wall clock shows here, so that what was learnt of peers' clocks stays true. */
export interface NodeTime {
  /** Unix seconds, as devices count them: whole, rounded down. */
  seconds(): number;
  monotonic(): number;
}

const STEP_MS = 30_000;

/** Watches the clock; `onStep` is told by how many seconds the wall clock has stepped, before the next reading. */
export function createNodeTime(clock: Clock, onStep: (seconds: number) => void): NodeTime {
  let base = clock.now() - clock.monotonic();
  return {
    seconds() {
      const now = clock.now();
      const moved = now - clock.monotonic() - base;
      base += moved;
      if (Math.abs(moved) > STEP_MS) onStep(Math.round(moved / 1000));
      return Math.floor(now / 1000);
    },
    monotonic: () => clock.monotonic(),
  };
}
