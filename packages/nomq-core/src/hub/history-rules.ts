import { filterMatches } from "../message.ts";

/** How much history the channels under a filter keep. */
export interface HistoryRule {
  readonly filter: string;
  /** So many messages of each channel; 0: none. */
  readonly last: number;
  /** Milliseconds since a message was published. */
  readonly forMs: number;
}

/** Ten messages of every channel, for a day. */
export const DEFAULT_HISTORY: readonly HistoryRule[] = [
  { filter: "#", last: 10, forMs: 24 * 60 * 60 * 1_000 },
];

/** The first rule whose filter matches; undefined where nothing is to be kept. */
export function historyRuleFor(rules: readonly HistoryRule[], channel: string): HistoryRule | undefined {
  const rule = rules.find(({ filter }) => filterMatches(filter, channel));
  return rule === undefined || rule.last === 0 ? undefined : rule;
}
