/** When datagrams may leave that all cost the same devices their time. */
export interface BroadcastTurns {
  /** Takes the next turn: the monotonic milliseconds at which one datagram may leave, not before `now`. */
  take(now: number): number;
}

/** The turns of every port. */
export interface PortTurns {
  of(name: string, now: number): BroadcastTurns;
}

/** Beyond so many, those whose last turn is over are forgotten. */
const KEPT = 64;

/** Makes turns `everyMs` apart under each name. */
export function createPortTurns(everyMs: number): PortTurns {
  const nextAt = new Map<string, number>();
  return {
    of(name, now) {
      if (nextAt.size >= KEPT) for (const [one, at] of nextAt) if (at <= now) nextAt.delete(one);
      return {
        take(from) {
          const at = Math.max(from, nextAt.get(name) ?? from);
          nextAt.set(name, at + everyMs);
          return at;
        },
      };
    },
  };
}
