/** Counts by word that only grow. */
export interface Tally {
  /** Words must be a fixed set, or else bounded by who chooses them. `count` is 1 by default. */
  add(word: string, count?: number): void;
  read(): Readonly<Record<string, number>>;
  /** All together. */
  total(): number;
}

/** Makes one; `past` is what it goes on from. */
export function createTally(past: Readonly<Record<string, number>> = {}): Tally {
  const counts = new Map(Object.entries(past));
  return {
    add(word, count = 1) {
      counts.set(word, (counts.get(word) ?? 0) + count);
    },
    read: () => Object.fromEntries(counts),
    total: () => [...counts.values()].reduce((sum, count) => sum + count, 0),
  };
}
