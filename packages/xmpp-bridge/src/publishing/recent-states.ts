import { AgedMap, type Clock } from "@nomq/core";

/**
 * How long before the last one a state may have been taken and still be lost with its server. ejabberd answers up to some
 * seconds before its disk has what it answered for; a host that loses its power forgets what its system has not written.
 */
const RECENT_MS = 40_000;
const MOST = 10_000;

/** Channels whose state the service has taken, or let go, of late: not all of it may have outlived a server that died. */
export interface RecentStates {
  /** A state was set or cleared. */
  taken(channel: string): void;
  /** Oldest first. */
  all(): readonly string[];
}

/** Makes it empty. */
export function createRecentStates(clock: Pick<Clock, "monotonic">): RecentStates {
  const takenAt = new AgedMap<string, number>();
  return {
    taken(channel) {
      const now = clock.monotonic();
      takenAt.delete(channel);
      takenAt.set(channel, now);
      for (let oldest = takenAt.oldest(); oldest !== undefined; oldest = takenAt.oldest()) {
        if (takenAt.size <= MOST && now - (takenAt.get(oldest) ?? now) <= RECENT_MS) return;
        takenAt.delete(oldest);
      }
    },
    all: () => [...takenAt.keys()],
  };
}
