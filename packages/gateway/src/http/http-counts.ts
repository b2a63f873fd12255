import { createTally } from "@nomq/core";

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
    answers: createTally(),
    turnedAway: createTally(),
    refused: createTally(),
  };
  return {
    add: (kind, word) => sums[kind].add(word),
    read: (streams) => ({
      answers: sums.answers.read(),
      turnedAway: sums.turnedAway.read(),
      refused: sums.refused.read(),
      streams,
    }),
  };
}
