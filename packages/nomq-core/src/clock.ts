/** Ends a timer; calling it after the timer fired or twice does nothing. */
export type CancelTimer = () => void;

/** Time, handed in so that tests own it. One clock serves the hub and every bridge. */
export interface Clock {
  /** Wall clock in Unix milliseconds; may step. */
  now(): number;
  /** Milliseconds since an arbitrary start; never goes back. Timers and deadlines use it. */
  monotonic(): number;
  /** Calls `run` once after `ms` milliseconds of monotonic time. Does not keep the process alive. */
  after(ms: number, run: () => void): CancelTimer;
}

// setTimeout counts in a signed 32-bit number of milliseconds and fires at once beyond it.
const LONGEST_TIMEOUT_MS = 2 ** 31 - 1;

/** The machine's clock. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after: (ms, run) => {
    const timer = setTimeout(run, Math.min(Math.max(ms, 0), LONGEST_TIMEOUT_MS));
    timer.unref();
    return () => clearTimeout(timer);
  },
};
