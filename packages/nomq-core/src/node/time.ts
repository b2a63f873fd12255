import type { Clock } from "../clock.ts";

/** The node's clocks. A step of the wall clock shows here, so that what was learnt of peers' clocks stays true. */
export interface NodeTime {
  /** Unix seconds, as devices count them: whole, rounded down. */
  seconds(): number;
  monotonic(): number;
}

/** What is told of a step. */
export type OnStep = (seconds: number) => void;

/**
 * Watches the clock; `onStep` is told by how many seconds the wall clock has stepped, before the next reading. Steps
 * below a second add up until they are one.
 */
export function createNodeTime(clock: Clock, onStep: OnStep): NodeTime {
  let base = clock.now() - clock.monotonic();
  return {
    seconds() {
      const now = clock.now();
      const seconds = Math.round((now - clock.monotonic() - base) / 1000);
      if (seconds !== 0) {
        base += seconds * 1000;
        onStep(seconds);
      }
      return Math.floor(now / 1000);
    },
    monotonic: () => clock.monotonic(),
  };
}
