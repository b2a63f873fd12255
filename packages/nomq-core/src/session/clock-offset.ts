/** A peer's clock less ours, in seconds, when it counts from 2000-01-01 as most boards do. */
const EPOCH_2000_OFFSET = -946_684_800;

/** The offsets tried towards a peer that was never heard, in order (protocol.md section 7). */
export const UNHEARD_OFFSETS: readonly number[] = [0, EPOCH_2000_OFFSET];

/** How far a packet's timestamp may lie from where the clock of its session is expected, seconds. */
export const CLOCK_TOLERANCE = 30;

/** Which clocks are accepted at first contact. */
export type ClockPolicy = "learn" | "any";

const QUARTER_HOUR = 900;
const WEST_MOST = -12 * 3600;
const EAST_MOST = 14 * 3600;

/**
 * Whether a session may begin with this offset: either epoch, or either epoch in a time zone from -12 h to +14 h in
 * whole quarter-hours, each within 30 s (protocol.md section 7, "First contact").
 */
export function isFirstOffset(offset: number, policy: ClockPolicy): boolean {
  return policy === "any" || UNHEARD_OFFSETS.some((epoch) => isZoneOffset(offset - epoch));
}

/** Whether that clock counts from 2000, in any time zone. */
export function countsFrom2000(offset: number): boolean {
  return isZoneOffset(offset - EPOCH_2000_OFFSET);
}

/** Seconds by which a clock with that offset lies behind the nearest one that a session may begin with. */
export function lagOf(offset: number): number {
  const epoch = countsFrom2000(offset) ? EPOCH_2000_OFFSET : 0;
  const zone = Math.round((offset - epoch) / QUARTER_HOUR) * QUARTER_HOUR;
  return zone + epoch - offset;
}

function isZoneOffset(offset: number): boolean {
  const zone = Math.round(offset / QUARTER_HOUR) * QUARTER_HOUR;
  return zone >= WEST_MOST && zone <= EAST_MOST && Math.abs(offset - zone) <= CLOCK_TOLERANCE;
}
