import type { Clock, Log } from "@nomq/core";

/** Lines a minute. */
const MOST = 10;
const MINUTE_MS = 60_000;

/** What may be said of one sensor. */
export type PacedLog = Pick<Log, "info" | "warn">;

/**
 * A log for one whose changes somebody else makes up: 10 lines
 * a minute, the last of which says that others are left out.
 */
export function createPacedLog(log: Log, clock: Clock): PacedLog {
  let since = Number.NEGATIVE_INFINITY;
  let said = 0;
  const say = (level: "info" | "warn", ...[text, fields]: Parameters<Log["info"]>): void => {
    const now = clock.monotonic();
    if (now - since >= MINUTE_MS) {
      since = now;
      said = 0;
    }
    said += 1;
    if (said < MOST) log[level](text, fields);
    if (said === MOST) log.warn("a sensor changes too often: not all of it is logged", fields);
  };
  return {
    info: (...line) => say("info", ...line),
    warn: (...line) => say("warn", ...line),
  };
}
