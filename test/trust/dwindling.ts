/** Something that becomes less until it is gone, and how long it stood still. */
export interface Dwindling {
  /** Notes how much is left, and hands it back. */
  note(left: number): number;
  /** When less was left than ever before, as `performance.now()` has it; at first, when this was made. */
  readonly lessAt: number;
  /** Milliseconds since this was made. */
  readonly tookMs: number;
  /** The longest time, milliseconds, in which it became no less. */
  readonly stoodMs: number;
}

/** Begins to watch. */
export function openDwindling(): Dwindling {
  const begunAt = performance.now();
  let least = Number.POSITIVE_INFINITY;
  let lessAt = begunAt;
  let stoodMs = 0;
  return {
    note(left) {
      if (left < least) {
        least = left;
        stoodMs = Math.max(stoodMs, performance.now() - lessAt);
        lessAt = performance.now();
      }
      return left;
    },
    get lessAt() {
      return lessAt;
    },
    get tookMs() {
      return performance.now() - begunAt;
    },
    get stoodMs() {
      return stoodMs;
    },
  };
}
