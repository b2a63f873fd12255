/**
 * What one peer may be sent. A device reads about ten datagrams a second and holds one to six of them: it gets few a
 * second and one unanswered at a time (nomq-protocol.md section 6).
 */
export interface Pace {
  /** The next datagram may leave then, monotonic milliseconds. */
  readonly nextAt: number;
  /** Until then an answer to the last datagram is awaited; 0 when none is. */
  readonly awaitedUntil: number;
}

/** A peer that was sent nothing. */
export const atRest: Pace = { nextAt: 0, awaitedUntil: 0 };

/** When the next datagram may leave: `now` or later. */
export function turnAt(pace: Pace, now: number): number {
  return Math.max(now, pace.nextAt, pace.awaitedUntil);
}

/** After a datagram left. `awaitMs`: how long an answer is awaited, 0 for none. */
export function departed(pace: Pace, at: { now: number; perSecond: number; awaitMs: number }): Pace {
  const nextAt = Math.max(at.now, pace.nextAt) + 1000 / at.perSecond;
  return { nextAt, awaitedUntil: at.awaitMs > 0 ? at.now + at.awaitMs : pace.awaitedUntil };
}

/** After an answer, or the end of the transfer that awaited it. */
export function answered(pace: Pace): Pace {
  return pace.awaitedUntil === 0 ? pace : { ...pace, awaitedUntil: 0 };
}
