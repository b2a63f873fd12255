import type { HistoryRange } from "../bridge.ts";
import { type Clock, systemClock } from "../clock.ts";
import { NomqError } from "../errors.ts";
import type { Message } from "../message.ts";
import { DEFAULT_HISTORY, type HistoryRule } from "./history-rules.ts";
import { Channels } from "./memory/channels.ts";
import { Places } from "./memory/places.ts";
import { ReceiptBook } from "./memory/receipt-book.ts";
import { States } from "./memory/states.ts";
import type { Batch, RetainedPage, Store, Write } from "./store.ts";

/** A run may use this many numbers above the highest it had committed. */
const RUN = 2 ** 32;

/** One promise for all commits: each of a message would cost what the message costs. */
const DONE: Promise<void> = Promise.resolve();

/** What a memory store keeps at most. */
export interface MemoryStoreOptions {
  /** The first rule that matches a channel counts. Default: the last 10 of every channel, for 24 hours. */
  readonly history?: readonly HistoryRule[];
  /** Channels with history, and tombstones of cleared channels; the oldest go first. Default 10,000. */
  readonly historyChannels?: number;
  /** Receipts. Default 100,000. */
  readonly receipts?: number;
  /** Tells how old history is. Default: the machine's. */
  readonly clock?: Clock;
}

/**
 * A {@link Store} that lasts as long as the object: dispose closes it, and the same object handed to another hub
 * opens again with all that was committed. Commits are atomic; values are kept, not copied.
 */
export function createMemoryStore(options: MemoryStoreOptions = {}): Store {
  return new MemoryStore(options);
}

class MemoryStore implements Store {
  private readonly places = new Places();
  private readonly book: ReceiptBook;
  private readonly channels: Channels;
  private readonly once = new Map<string, string>();
  private readonly states = new States();
  private nextStart = 1;
  private highest = 0;
  private isOpen = false;
  private readonly writers: { [W in Write as W["write"]]: (write: W) => void } = {
    message: (write) => this.message(write),
    interest: (write) => this.places.claim(write.stored),
    forget: (write) => this.forget(write),
    open: (write) => this.places.opened(write.name, write.seq, write.attempt),
    outcome: (write) => this.outcome(write),
    count: (write) => this.places.count(write.name, write.add),
    release: (write) => void this.once.delete(write.once),
    seq: (write) => {
      this.highest = Math.max(this.highest, write.seq);
    },
    state: (write) => this.states.write(write),
  };

  constructor(options: MemoryStoreOptions) {
    this.book = new ReceiptBook(options.receipts ?? 100_000);
    this.channels = new Channels({
      clock: options.clock ?? systemClock,
      rules: options.history ?? DEFAULT_HISTORY,
      channels: options.historyChannels ?? 10_000,
    });
  }

  async open(): ReturnType<Store["open"]> {
    this.isOpen = true;
    const seq = Math.max(this.nextStart, this.highest + 1);
    this.nextStart = seq + RUN;
    this.highest = seq;
    return { seq, attachments: this.places.stored(), once: [...this.once], rows: this.places.rows() };
  }

  commit(batch: Batch): Promise<void> {
    try {
      this.mustBeOpen();
      for (const write of batch.facts) this.apply(write);
      for (const write of batch.offers) this.apply(write);
      return DONE;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  async waiting(name: string, afterSeq: number, limit: number): ReturnType<Store["waiting"]> {
    this.mustBeOpen();
    return this.places.waiting(name, afterSeq, limit);
  }

  async retained(filters: readonly string[], page: RetainedPage): Promise<readonly Message[]> {
    this.mustBeOpen();
    return await this.channels.page(filters, page);
  }

  async latest(channel: string): Promise<Message | undefined> {
    this.mustBeOpen();
    return this.channels.latest(channel);
  }

  async receipt(id: string): ReturnType<Store["receipt"]> {
    return this.book.receipt(id);
  }

  async *history(channel: string, range: HistoryRange): AsyncGenerator<Message> {
    for (const message of this.channels.history(channel, range)) yield message;
  }

  async *state(owner: string): AsyncGenerator<readonly [key: Uint8Array, value: Uint8Array]> {
    for (const { key, value } of this.states.of(owner)) yield [key, value] as const;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.isOpen = false;
  }

  private apply(write: Write): void {
    // The table has the writer of each kind under its name; the compiler cannot follow a union through it.
    (this.writers[write.write] as (write: Write) => void)(write);
  }

  private message(write: Write & { write: "message" }): void {
    const { message, to } = write;
    this.highest = Math.max(this.highest, message.seq);
    if (write.once !== undefined) this.once.set(write.once, message.id);
    for (const name of to) this.places.accept(name, message);
    this.book.open(message, to);
    this.channels.add(message);
  }

  private forget({ name, at }: Write & { write: "forget" }): void {
    const end = { name, is: "dropped", reason: "forgotten", at } as const;
    for (const message of this.places.forget(name)) this.book.settle(message, end);
  }

  private outcome(write: Write & { write: "outcome" }): void {
    const message = this.places.settle(write);
    if (message !== undefined) this.book.settle(message, write);
  }

  private mustBeOpen(): void {
    if (!this.isOpen) throw new NomqError("closed", "the store is not open");
  }
}
