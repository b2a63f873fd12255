/** What the HTTP side, and the API on the control socket, have answered. */
export interface HttpCounts {
  /** Answers of the listeners by status code. */
  readonly answers: Readonly<Record<string, number>>;
  /** Requests turned away before the API: `token-invalid`, `origin-foreign`, … */
  readonly turnedAway: Readonly<Record<string, number>>;
  /** Publishes that the hub refused. */
  readonly refused: Readonly<Record<string, number>>;
  /** Streams open now. */
  readonly streams: number;
}

/** Counts by kind and word; words are a fixed set, so the sums stay few. */
export interface HttpCounters {
  add(kind: "answers" | "turnedAway" | "refused", word: string): void;
  read(streams: number): HttpCounts;
}

/** Makes counters that stand at nothing. */
export function createHttpCounters(): HttpCounters {
  const sums = {
    answers: new Map<string, number>(),
    turnedAway: new Map<string, number>(),
    refused: new Map<string, number>(),
  };
  return {
    add: (kind, word) => void sums[kind].set(word, (sums[kind].get(word) ?? 0) + 1),
    read: (streams) => ({
      answers: Object.fromEntries(sums.answers),
      turnedAway: Object.fromEntries(sums.turnedAway),
      refused: Object.fromEntries(sums.refused),
      streams,
    }),
  };
}
