import { createTally } from "@nomq/core";
import type { ObserverLedgerRow } from "./counts.ts";

/** How a message ends at one observer. */
export type ObserverEnd = "delivered" | "coalesced" | "expired" | { readonly dropped: string };

/** The row of all observers: every message that was to be told has one end. */
export interface ObserverLedger {
  accept(): void;
  settle(end: ObserverEnd): void;
  row(): ObserverLedgerRow;
}

/** Makes an empty one. */
export function createObserverLedger(): ObserverLedger {
  const counts = { accepted: 0, delivered: 0, coalesced: 0, expired: 0 };
  const dropped = createTally();
  let pending = 0;
  return {
    accept() {
      counts.accepted += 1;
      pending += 1;
    },
    settle(end) {
      pending -= 1;
      if (typeof end === "string") counts[end] += 1;
      else dropped.add(end.dropped);
    },
    row: () => ({ ...counts, dropped: dropped.read(), pending }),
  };
}
