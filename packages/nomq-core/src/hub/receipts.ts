import type { AckPoint, FinalOutcome, Receipt, ReceiptOutcome } from "../bridge.ts";
import { AgedMap } from "./aged-map.ts";

/** How a message ended at one attachment. */
export interface OutcomeEnd {
  readonly is: FinalOutcome;
  readonly reason: string | undefined;
  /** Unix milliseconds. */
  readonly at: number;
}

/** What is known of one published message while this run remembers it. */
export class ReceiptRecord {
  readonly id: string;
  channel: string;
  /** `queued`: the hub has not decided yet. */
  at: AckPoint | "queued" | "refused" = "queued";
  reason: string | undefined = undefined;
  readonly outcomes: ReceiptOutcome[] = [];
  private pending = 0;
  /** What ended while the store was asked for the receipt, which may not say it yet. */
  private early: Map<string, OutcomeEnd> | undefined;
  private isEnded = false;
  /** Mostly one: who publishes waits for the answer. */
  private watcher: (() => void) | undefined;
  private others: Set<() => void> | undefined;

  constructor(id: string, channel: string) {
    this.id = id;
    this.channel = channel;
  }

  get isWatched(): boolean {
    return this.watcher !== undefined || (this.others !== undefined && this.others.size > 0);
  }

  get isFinal(): boolean {
    return this.pending === 0;
  }

  /** Adds a pending outcome; the answer is its place. */
  expect(attachment: string, at: number): number {
    this.pending += 1;
    return this.outcomes.push({ attachment, is: "pending", at }) - 1;
  }

  settle(place: number, end: OutcomeEnd): void {
    const before = this.outcomes[place];
    if (before?.is !== "pending") return;
    const { is, reason, at } = end;
    const { attachment } = before;
    this.outcomes[place] = reason === undefined ? { attachment, is, at } : { attachment, is, reason, at };
    this.pending -= 1;
    this.rise();
    this.changed();
  }

  /** The same where only the attachment's name is known. */
  settleAt(attachment: string, end: OutcomeEnd): void {
    const place = this.placeOf(attachment);
    if (place === -1) this.early?.set(attachment, end);
    else this.settle(place, end);
  }

  accepted(): void {
    this.at = "accepted";
    this.changed();
  }

  stored(): void {
    this.at = "stored";
    this.rise();
    this.changed();
  }

  refuse(reason: string): void {
    this.at = "refused";
    this.reason = reason;
    this.outcomes.length = 0;
    this.pending = 0;
    this.changed();
  }

  /** The hub closes: who waits is answered with what is. */
  end(): void {
    this.isEnded = true;
    this.changed();
  }

  /** Whether a publisher who waits for that point is to be answered. */
  hasReached(until: AckPoint): boolean {
    if (this.isEnded) return true;
    if (this.at === "queued") return false;
    if (until === "accepted" || this.at === "refused") return true;
    return this.at !== "accepted" && (until === "stored" || this.isFinal);
  }

  /** Calls `run` after each change until the answer is called. */
  watch(run: () => void): () => void {
    if (this.watcher === undefined) this.watcher = run;
    else {
      this.others ??= new Set();
      this.others.add(run);
    }
    return () => this.unwatch(run);
  }

  private unwatch(run: () => void): void {
    if (this.watcher === run) this.watcher = undefined;
    else this.others?.delete(run);
  }

  snapshot(): Receipt {
    const { id, channel, reason } = this;
    const at = this.at === "queued" ? "accepted" : this.at;
    const outcomes = this.outcomes.slice();
    return reason === undefined ? { id, channel, at, outcomes } : { id, channel, at, reason, outcomes };
  }

  /** Where the named attachment's outcome stands; -1 when it has none. */
  placeOf(attachment: string): number {
    return this.outcomes.findIndex((outcome) => outcome.attachment === attachment);
  }

  /** The store is asked for the receipt: what ends meanwhile is kept for {@link restore}. */
  recall(): void {
    this.early = new Map();
  }

  /** Takes over what a store knows of a message of an earlier run. */
  restore(receipt: Receipt): void {
    this.at = receipt.at;
    for (const outcome of receipt.outcomes) {
      this.outcomes.push(outcome);
      if (outcome.is === "pending") this.pending += 1;
    }
    for (const [attachment, end] of this.early ?? []) this.settle(this.placeOf(attachment), end);
    this.early = undefined;
  }

  private rise(): void {
    if (this.pending > 0 || this.at !== "stored" || this.outcomes.length === 0) return;
    if (this.outcomes.every((outcome) => outcome.is === "delivered")) this.at = "delivered";
  }

  private changed(): void {
    const others = this.others === undefined ? undefined : [...this.others];
    this.watcher?.();
    if (others !== undefined) for (const run of others) run();
  }
}

/** Receipts of earlier runs, and old ones that somebody waits for. */
const MOST_BESIDE = 10_000;

interface Recall {
  readonly record: ReceiptRecord;
  readonly done: Promise<ReceiptRecord | undefined>;
}

/**
 * The receipts this run remembers; older ones are the store's. Numbers rise by one, so the newest lie in a ring by
 * `seq`: a map by id would cost more than all else a QoS 0 message does.
 */
export class Receipts {
  private readonly ring: (ReceiptRecord | undefined)[] = [];
  private readonly beside = new AgedMap<string, ReceiptRecord>();
  /** Receipts the store is being asked for. */
  private readonly recalled = new Map<string, Recall>();
  private readonly most: number;
  private readonly seqOf: (id: string) => number | undefined;

  constructor(options: { most: number; seqOf: (id: string) => number | undefined }) {
    this.most = options.most;
    this.seqOf = options.seqOf;
  }

  keep(seq: number, record: ReceiptRecord): void {
    const at = seq % this.most;
    const before = this.ring[at];
    if (before?.isWatched === true) this.keepBeside(before);
    // Filled in order, so that it stays an array without holes.
    while (this.ring.length < at) this.ring.push(undefined);
    this.ring[at] = record;
  }

  keepBeside(record: ReceiptRecord): void {
    this.beside.set(record.id, record);
    const oldest = this.beside.oldest();
    if (this.beside.size <= MOST_BESIDE || oldest === undefined) return;
    // Nobody would tell it any more how its message ends.
    this.beside.get(oldest)?.end();
    this.beside.delete(oldest);
  }

  /** The record of a message this run does not remember, from what the store says of it; `read` asks the store. */
  recall(id: string, read: (id: string) => Promise<Receipt | undefined>): Promise<ReceiptRecord | undefined> {
    const known = this.find(id);
    if (known !== undefined) return Promise.resolve(known);
    const asked = this.recalled.get(id);
    if (asked !== undefined) return asked.done;
    const record = new ReceiptRecord(id, "");
    record.recall();
    const done = read(id)
      .then((receipt) => (receipt === undefined ? undefined : this.restored(record, receipt)))
      .finally(() => this.recalled.delete(id));
    this.recalled.set(id, { record, done });
    return done;
  }

  private restored(record: ReceiptRecord, receipt: Receipt): ReceiptRecord {
    record.channel = receipt.channel;
    record.restore(receipt);
    this.keepBeside(record);
    return record;
  }

  /** A message of which no record is at hand ended at one attachment. */
  settle(id: string, attachment: string, end: OutcomeEnd): void {
    (this.find(id) ?? this.recalled.get(id)?.record)?.settleAt(attachment, end);
  }

  find(id: string): ReceiptRecord | undefined {
    const seq = this.seqOf(id);
    const found = seq === undefined ? undefined : this.ring[seq % this.most];
    return found?.id === id ? found : this.beside.get(id);
  }

  /** Ends all waiting. */
  close(): void {
    for (const record of [...this.ring, ...this.beside.values()])
      if (record?.isWatched === true) record.end();
  }

  /** Ends what is pending at one attachment. */
  settleAll(attachment: string, end: OutcomeEnd): void {
    for (const record of this.ring) record?.settleAt(attachment, end);
    for (const record of this.beside.values()) record.settleAt(attachment, end);
    for (const { record } of this.recalled.values()) record.settleAt(attachment, end);
  }
}

/** Resolves at the point; the signal's abort ends the waiting with the receipt as it is then. */
export function awaitRecord(record: ReceiptRecord, until: AckPoint, signal?: AbortSignal): Promise<Receipt> {
  if (record.hasReached(until) || signal?.aborted === true) return Promise.resolve(answerOf(record, until));
  return new Promise((resolve) => {
    const settle = (): void => {
      unwatch();
      signal?.removeEventListener("abort", settle);
      resolve(answerOf(record, until));
    };
    const unwatch = record.watch(() => {
      if (record.hasReached(until)) settle();
    });
    signal?.addEventListener("abort", settle);
  });
}

// Nobody to deliver to: whoever waits for delivery has all there is.
function answerOf(record: ReceiptRecord, until: AckPoint): Receipt {
  const receipt = record.snapshot();
  const isVacuous = until === "delivered" && receipt.at === "stored" && receipt.outcomes.length === 0;
  return isVacuous ? { ...receipt, at: "delivered" } : receipt;
}

/** The receipt now and after every change (a slow reader sees the latest) until every outcome is final. */
export async function* followRecord(record: ReceiptRecord, signal?: AbortSignal): AsyncGenerator<Receipt> {
  let wake: (() => void) | undefined;
  let isDirty = true;
  const changed = (): void => {
    isDirty = true;
    wake?.();
  };
  const unwatch = record.watch(changed);
  signal?.addEventListener("abort", changed);
  try {
    while (signal?.aborted !== true) {
      if (isDirty) {
        isDirty = false;
        yield record.snapshot();
        if (record.hasReached("delivered") && !isDirty) return;
        continue;
      }
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  } finally {
    unwatch();
    signal?.removeEventListener("abort", changed);
  }
}
