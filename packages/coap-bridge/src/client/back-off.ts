/** Growing waits between tries, each drawn from the upper half of its span so that many peers do not come together. */
export interface BackOff {
  /** Milliseconds until the next try; twice the span of the last one, up to the longest. */
  next(): number;
  /** It worked. */
  reset(): void;
}

/** Makes one from the first and the longest span, milliseconds. */
export function createBackOff(first: number, longest: number, random: () => number): BackOff {
  let span = first;
  return {
    next() {
      const wait = span / 2 + (span / 2) * random();
      span = Math.min(span * 2, longest);
      return wait;
    },
    reset() {
      span = first;
    },
  };
}
