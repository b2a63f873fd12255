import type { FinalOutcome, HistoryRange, LedgerRow, OutboxLimits, Receipt } from "../bridge.ts";
import type { Message } from "../message.ts";
import type { Principal } from "../principal.ts";
import type { ClockStep } from "./time.ts";

/** What a store keeps of one durable attachment. */
export interface StoredAttachment {
  readonly name: string;
  readonly as: Principal;
  readonly filters: readonly string[];
  readonly outbox: OutboxLimits;
  readonly row: LedgerRow;
  /** Messages and bytes waiting in its outbox. */
  readonly waiting: number;
  readonly bytes: number;
}

/** Counts to add to an attachment's ledger row. */
export type LedgerDelta = Partial<Omit<LedgerRow, "pending">>;

/** One change. What must be true together is one write or one batch (hub.md, "Store"). */
export type Write =
  | {
      /** One body, a row per durable attachment; retain sets, replaces, or (empty payload) leaves a tombstone. */
      readonly write: "message";
      readonly message: Message;
      readonly to: readonly string[];
      readonly once?: string;
    }
  | { readonly write: "interest"; readonly stored: Omit<StoredAttachment, "row" | "waiting" | "bytes"> }
  | { readonly write: "forget"; readonly name: string; readonly at: number }
  | { readonly write: "open"; readonly name: string; readonly seq: number; readonly attempt: number }
  | {
      readonly write: "outcome";
      readonly name: string;
      readonly seq: number;
      readonly is: FinalOutcome;
      readonly reason?: string;
      readonly at: number;
    }
  | { readonly write: "count"; readonly name: string; readonly add: LedgerDelta }
  | { readonly write: "release"; readonly once: string }
  /** Numbers up to this one may be in use though no message holds them. */
  | { readonly write: "seq"; readonly seq: number }
  | {
      readonly write: "state";
      readonly owner: string;
      readonly key: Uint8Array;
      readonly value?: Uint8Array;
    };

/**
 * A batch: all or nothing; facts apply before offers, each in order. When a commit fails the hub refuses its offers
 * and offers its facts again. A `message` counts itself as accepted for everyone in `to`; an `outcome` counts itself,
 * removes the row and settles the receipt. What has no row is counted by `count` only.
 */
export interface Batch {
  /** message and the state that goes with it, interest, open. */
  readonly offers: readonly Write[];
  /** outcome, count, release, seq, state, forget. */
  readonly facts: readonly Write[];
}

/** What a store knows when it opens. */
export interface Opened {
  /**
   * The first `seq` this run may use; a start above all that it may use has been committed already. A run may use
   * 2^32 numbers above the highest it had committed in a message or `seq` write.
   */
  readonly seq: number;
  readonly attachments: readonly StoredAttachment[];
  readonly once: readonly (readonly [key: string, messageId: string])[];
  /** Counts of names that have no stored interest (volatile attachments). */
  readonly rows?: readonly (readonly [name: string, row: LedgerRow])[];
}

/** Which retained values. */
export interface RetainedPage {
  /** Channels after this one, in ascending order of UTF-16 code units. */
  readonly after?: string;
  readonly limit: number;
  /** Include cleared channels, as messages with an empty payload. Default false. */
  readonly tombstones?: boolean;
}

/** What must last. Each call may hang or fail; none may lie. */
export interface Store extends AsyncDisposable {
  open(): Promise<Opened>;
  /** All or nothing, one open at a time; settles only when it is known which. */
  commit(batch: Batch): Promise<void>;
  /** Waiting messages of an attachment above `afterSeq`, ascending; `attempt` = opens committed so far. */
  waiting(
    name: string,
    afterSeq: number,
    limit: number,
  ): Promise<readonly { readonly message: Message; readonly attempt: number }[]>;
  retained(filters: readonly string[], page: RetainedPage): Promise<readonly Message[]>;
  /** The retained value of one channel; undefined when there is none or it was cleared. */
  latest(channel: string): Promise<Message | undefined>;
  receipt(id: string): Promise<Receipt | undefined>;
  /** Oldest first. */
  history(channel: string, range: HistoryRange): AsyncIterable<Message>;
  /** Told after `open` and after each step of the wall clock: its own sweeps must not end what has not expired. */
  clockWasSet?(steps: readonly ClockStep[]): void;
  state(owner: string): AsyncIterable<readonly [key: Uint8Array, value: Uint8Array]>;
}
