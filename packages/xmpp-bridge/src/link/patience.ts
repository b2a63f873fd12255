import type { StreamEnd } from "../stream/stream-end.ts";
import type { LinkTimes } from "./options.ts";

/** How a session went. */
export interface Went {
  readonly end: StreamEnd;
  /** Milliseconds it was online; undefined: never. */
  readonly upMs: number | undefined;
}

/** At most eight times as long. */
const MOST = 3;

/**
 * How often the time for a sign of life is doubled in the next session. A server that writes a long history to its disk
 * with each publish says nothing until it has done a whole window of them: taken for dead at each window it would never
 * come further. Sessions that lived long before they fell silent were not of that kind.
 */
export function patienceAfter(patience: number, { end, upMs }: Went, times: LinkTimes): number {
  if (upMs === undefined) return patience;
  if (end.is !== "silent") return 0;
  const isShort = upMs < 10 * (times.askAfterMs + times.deadAfterMs * 2 ** patience);
  return isShort ? Math.min(patience + 1, MOST) : 0;
}
