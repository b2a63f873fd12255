import type { Sample } from "./exposition.ts";

/** The value of a metric without labels. */
export const one = (value: number): readonly Sample[] => [[[], value]];

/** Counts by reason. `outbox-full: NAME` counts as `outbox-full`: the rest is for people. */
export const byReason = (counts: Readonly<Record<string, number>> = {}): readonly Sample[] =>
  Object.entries(counts).map(([reason, count]) => [[reason.replace(/: .*$/s, "")], count]);

/** The same with the protocol in front. */
export const of = (protocol: string, counts: Readonly<Record<string, number>> = {}): readonly Sample[] =>
  byReason(counts).map(([labels, count]) => [[protocol, ...labels], count]);

/** Outcomes of a ledger row: the outcome, and of what was dropped the reason. */
export function outcomesOf(row: OutcomeCounts): readonly Sample[] {
  const { delivered, expired, refused, uncertain, dropped } = row;
  return [
    [["delivered", ""], delivered],
    [["expired", ""], expired],
    [["refused", ""], refused],
    ...(uncertain === undefined ? [] : [[["uncertain", ""], uncertain] as const]),
    ...byReason(dropped).map(([labels, count]): Sample => [["dropped", ...labels], count]),
  ];
}

/** What both kinds of ledger rows count. */
export interface OutcomeCounts {
  readonly delivered: number;
  readonly expired: number;
  readonly refused: number;
  readonly uncertain?: number;
  readonly dropped: Readonly<Record<string, number>>;
}
