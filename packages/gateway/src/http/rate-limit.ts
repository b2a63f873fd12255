import type { Clock } from "@nomq/core";

/** Holds every name to a rate of its own. */
export interface RateLimit {
  /** Takes one turn; 0, or the milliseconds until there is one. */
  take(name: string): number;
}

/** Options of {@link createRateLimit}. */
export interface RateLimitOptions {
  readonly clock: Clock;
  /** Turns a second. */
  readonly perSecond: number;
  /** Turns that may be saved up. */
  readonly burst: number;
  /** Names remembered at once. Default 10,000; the one asked for longest ago gives way. */
  readonly most?: number;
}

interface Bucket {
  turns: number;
  at: number;
}

/** Makes a limit: a bucket for each name, filled at a steady rate. */
export function createRateLimit({ clock, perSecond, burst, most = 10_000 }: RateLimitOptions): RateLimit {
  // In the order in which they were asked for.
  const buckets = new Map<string, Bucket>();
  return {
    take(name) {
      const now = clock.monotonic();
      const { turns, at } = buckets.get(name) ?? { turns: burst, at: now };
      const filled = Math.min(burst, turns + ((now - at) * perSecond) / 1_000);
      buckets.delete(name);
      const [oldest] = buckets.keys();
      if (buckets.size >= most && oldest !== undefined) buckets.delete(oldest);
      const isFree = filled >= 1;
      buckets.set(name, { turns: isFree ? filled - 1 : filled, at: now });
      return isFree ? 0 : Math.ceil(((1 - filled) * 1_000) / perSecond);
    },
  };
}
