import { createTally } from "@nomq/core";
import type { JournalRecord, SessionJournal } from "./journal.ts";
import { ledgerKey } from "./stored-key.ts";
import { sealed } from "./stored-value.ts";

/**
 * What became of the messages of sessions that outlive their connection, over restarts: accepted = delivered +
 * expired + all dropped + refused + pending.
 */
export interface SessionLedgerRow {
  /** Messages put into a session's queue: once for every session. */
  readonly accepted: number;
  /** Acknowledged by the client. */
  readonly delivered: number;
  readonly expired: number;
  /** Acknowledged with a reason code of 0x80 or above. */
  readonly refused: number;
  /** By reason: `session-full`, `session-ended`, `access`. */
  readonly dropped: Readonly<Record<string, number>>;
  readonly pending: number;
}

/** How a message leaves a session's queue. */
export type SessionEnd = "delivered" | "expired" | "refused" | { readonly dropped: string };

/** Counts, kept in the write that changes what they count. */
export interface SessionLedger {
  accept(): void;
  settle(end: SessionEnd): void;
  row(): SessionLedgerRow;
}

/** The counts as they are stored, without what is pending: that is counted. */
export type StoredLedger = Omit<SessionLedgerRow, "accepted" | "pending">;

/** Makes a ledger that goes on from what was stored, with what waits now. */
export function createSessionLedger(
  journal: Pick<SessionJournal, "note">,
  past: StoredLedger | undefined,
  pending: number,
): SessionLedger {
  const counts = {
    delivered: past?.delivered ?? 0,
    expired: past?.expired ?? 0,
    refused: past?.refused ?? 0,
  };
  const dropped = createTally(past?.dropped);
  let waiting = pending;
  const key = ledgerKey();
  const record: JournalRecord = {
    key,
    isWritten: past !== undefined,
    value: () => sealed(key, { ...counts, dropped: dropped.read() }),
  };
  return {
    accept() {
      waiting += 1;
    },
    settle(end) {
      waiting -= 1;
      if (typeof end === "string") counts[end] += 1;
      else dropped.add(end.dropped);
      journal.note(record);
    },
    row() {
      const ended = counts.delivered + counts.expired + counts.refused;
      return {
        ...{ accepted: ended + dropped.total() + waiting, ...counts },
        dropped: dropped.read(),
        pending: waiting,
      };
    },
  };
}
