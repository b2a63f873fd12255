import type { LinkCounts } from "./link/link.ts";
import type { NodeCounts } from "./nodes/nodes.ts";
import type { ReceivingCounts } from "./receiving/receiving.ts";

/** What publishing has done since the bridge was made. */
export interface PublishingCounts {
  /** Items that the service has taken, and states that it has cleared. */
  readonly taken: number;
  /** Messages that it has refused for good, by condition. */
  readonly refused: Readonly<Record<string, number>>;
  /** Messages that came again, by reason. */
  readonly again: Readonly<Record<string, number>>;
  /** Messages at QoS 0, of which nobody waits for the answer, that were not taken, by reason. */
  readonly unheard: Readonly<Record<string, number>>;
  /** States that lay there already when they were to be corrected. */
  readonly unchanged: number;
  /** States published again before events could push them out. */
  readonly renewed: number;
  /** Items taken back because their time was over. */
  readonly expired: number;
  /** Items whose end is planned now. */
  readonly expiring: number;
  /** Items that will not be taken back: too many are planned, or the server refuses. */
  readonly unexpired: number;
}

/** What `/healthz` and metrics show of the XMPP side. */
export interface XmppCounts {
  readonly publishing: PublishingCounts;
  /** Messages in that were refused, by reason. */
  readonly messagesRefused: Readonly<Record<string, number>>;
  /** Absent before `attach`. */
  readonly link?: LinkCounts;
  readonly nodes?: NodeCounts;
  readonly receiving?: ReceivingCounts;
}

type Plain = "taken" | "unchanged" | "renewed" | "expired" | "unexpired";
type ByReason = "refused" | "again" | "unheard";

/** Counts; reasons are the server's conditions, of which at most 64 are told apart. */
export interface Counters {
  count(what: Plain): void;
  add(what: ByReason, reason: string): void;
  read(): Omit<PublishingCounts, "expiring">;
}

const MOST_REASONS = 64;

/** Makes counters that stand at nothing. */
export function createCounters(): Counters {
  const plain: Record<Plain, number> = { taken: 0, unchanged: 0, renewed: 0, expired: 0, unexpired: 0 };
  const sums: Record<ByReason, Map<string, number>> = {
    refused: new Map(),
    again: new Map(),
    unheard: new Map(),
  };
  return {
    count(what) {
      plain[what] += 1;
    },
    add(what, reason) {
      // `poison: what it was` is one reason.
      const [word = reason] = reason.split(":", 1);
      const of = sums[what];
      const known = of.has(word) || of.size < MOST_REASONS ? word : "other";
      of.set(known, (of.get(known) ?? 0) + 1);
    },
    read: () => ({
      ...plain,
      refused: Object.fromEntries(sums.refused),
      again: Object.fromEntries(sums.again),
      unheard: Object.fromEntries(sums.unheard),
    }),
  };
}
