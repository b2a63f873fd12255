/** Whether there is always more to do than the server has done. Times are monotonic milliseconds. */
export interface LoadWatch {
  /** So many requests are sent or wait now: after some were sent, and after each answer. */
  saw(now: number, requests: number): void;
  isBusy(now: number): boolean;
}

/** Part of the window that is in use where somebody has enough to do. */
const FULL = 0.75;

/** A limited server answers a window at a time; who hands over messages needs a moment to fill it again. */
const REFILL_MS = 200;

/** As long as the slowest packaged limit takes for a window, and again. */
const FULL_WITHIN_MS = 3_000;

/** Watches a window of so many requests. */
export function createLoadWatch(window: number): LoadWatch {
  let fullAt = Number.NEGATIVE_INFINITY;
  let idleSince: number | undefined;
  return {
    saw(now, requests) {
      const wasIdle = idleSince !== undefined && now - idleSince > REFILL_MS;
      if (wasIdle) fullAt = Number.NEGATIVE_INFINITY;
      idleSince = requests === 0 ? (idleSince ?? now) : undefined;
      if (requests >= window * FULL) fullAt = now;
    },
    isBusy: (now) => now - fullAt < FULL_WITHIN_MS,
  };
}
