import type { ReceivingCounts } from "./receiving.ts";

/** What is counted, without what is looked at now. */
export type Counted = Exclude<keyof ReceivingCounts, "refused" | "subscribed" | "waiting">;

/** More reasons than the hub has: the rest is `other`. */
const MOST_REASONS = 50;

/** Counts as they grow. */
export interface Tally {
  add(what: Counted, many?: number): void;
  refused(reason: string): void;
  now(): Omit<ReceivingCounts, "subscribed" | "waiting">;
}

/** All at zero. */
export function createTally(): Tally {
  const counts: Record<Counted, number> = {
    received: 0,
    published: 0,
    caughtUp: 0,
    cleared: 0,
    echoes: 0,
    duplicates: 0,
    expired: 0,
    otherSource: 0,
    stored: 0,
    unwanted: 0,
    malformed: 0,
    gaps: 0,
    overflowed: 0,
    evicted: 0,
    configurations: 0,
  };
  const refused = new Map<string, number>();
  return {
    add: (what, many = 1) => {
      counts[what] += many;
    },
    refused(reason) {
      const key = refused.has(reason) || refused.size < MOST_REASONS ? reason : "other";
      refused.set(key, (refused.get(key) ?? 0) + 1);
    },
    now: () => ({ ...counts, refused: Object.fromEntries(refused) }),
  };
}
