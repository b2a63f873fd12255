import type { MessagingCounts } from "./messaging.ts";

/** The counts while they grow. */
export type Tally = { -readonly [Name in Exclude<keyof MessagingCounts, "remotes">]: number };

/** All of them zero. */
export function createTally(): Tally {
  return {
    malformed: 0,
    dropped: 0,
    duplicates: 0,
    badOptions: 0,
    limited: 0,
    challenged: 0,
    repeated: 0,
    timeouts: 0,
  };
}
