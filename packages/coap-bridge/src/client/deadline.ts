import type { Clock } from "@nomq/core";

/** A signal that also aborts after some time. `cancel` ends the timer. */
export interface Deadline {
  readonly signal: AbortSignal;
  cancel(): void;
}

/** Makes it; `ms` undefined: without a time of its own. */
export function createDeadline(clock: Clock, signal: AbortSignal, ms: number | undefined): Deadline {
  if (ms === undefined) return { signal, cancel: () => undefined };
  const over = new AbortController();
  const cancel = clock.after(ms, () => over.abort());
  return { signal: AbortSignal.any([signal, over.signal]), cancel };
}

/** One operation takes no longer, however many blocks it has: a peer that drips them keeps others of its address waiting. */
export const OPERATION_MS = 600_000;
