/** Counts by name that only grow. */
export interface Tally {
  add(name: string): void;
  read(): Readonly<Record<string, number>>;
  /** All together. */
  total(): number;
}

/** Makes it; names are the caller's own words, so it is bounded. */
function createTally(): Tally {
  const counts = new Map<string, number>();
  return {
    add: (name) => void counts.set(name, (counts.get(name) ?? 0) + 1),
    read: () => Object.fromEntries(counts),
    total: () => [...counts.values()].reduce((sum, each) => sum + each, 0),
  };
}

/** What sensors and actuators count together. */
export interface ClientTallies {
  readonly values: Tally;
  readonly requests: Tally;
  readonly refused: Tally;
  readonly writes: Tally;
}

/** Makes all of them. */
export function createClientTallies(): ClientTallies {
  return {
    values: createTally(),
    requests: createTally(),
    refused: createTally(),
    writes: createTally(),
  };
}
