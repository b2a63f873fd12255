import type { Sample } from "./exposition.ts";

/** The value of a metric without labels. */
export const one = (value: number): readonly Sample[] => [[[], value]];

/** Counts by reason. `outbox-full: NAME` counts as `outbox-full`: the rest is for people. */
export const byReason = (counts: Readonly<Record<string, number>> = {}): readonly Sample[] =>
  Object.entries(counts).map(([reason, count]) => [[reason.replace(/: .*$/s, "")], count]);

/** The same with the protocol in front. */
export const of = (protocol: string, counts: Readonly<Record<string, number>> = {}): readonly Sample[] =>
  byReason(counts).map(([labels, count]) => [[protocol, ...labels], count]);
