/**
 * What one peer may be sent. A device reads about ten datagrams a second and holds one to six of them: it gets few a
 * second and one unanswered at a time (protocol.md section 6).
 */
export interface Pace {
  /** The next message may leave then, monotonic milliseconds. */
  readonly nextAt: number;
  /** An answer left lately: until then a message had better wait, but not for long. */
  readonly quietUntil: number;
  /** Until then an answer to the last message is awaited; 0 when none is. */
  readonly awaitedUntil: number;
}

/** A peer that was sent nothing. */
export const atRest: Pace = { nextAt: 0, quietUntil: 0, awaitedUntil: 0 };

/** A device that asks for more answers than its pace allows still gets a message this often. */
const LONGEST_QUIET_MS = 1000;

/** When the next message, waiting since `since`, may leave: `now` or later. */
export function turnAt(pace: Pace, at: { readonly now: number; readonly since: number }): number {
  const quiet = Math.min(pace.quietUntil, at.since + LONGEST_QUIET_MS);
  return Math.max(at.now, pace.nextAt, pace.awaitedUntil, quiet);
}

/** After a message left. */
export function departed(pace: Pace, now: number, perSecond: number): Pace {
  return { ...pace, nextAt: Math.max(now, pace.nextAt) + 1000 / perSecond };
}

/** After an answer left. Answers go at once: the device waits for them. */
export function replied(pace: Pace, now: number, perSecond: number): Pace {
  return { ...pace, quietUntil: now + 1000 / perSecond };
}

/** After a message left that will be answered within `awaitMs` or not at all. */
export function awaiting(pace: Pace, now: number, awaitMs: number): Pace {
  return awaitMs > 0 ? { ...pace, awaitedUntil: now + awaitMs } : pace;
}

/** After an answer came, or the transfer that awaited it has ended. */
export function answered(pace: Pace): Pace {
  return pace.awaitedUntil === 0 ? pace : { ...pace, awaitedUntil: 0 };
}
