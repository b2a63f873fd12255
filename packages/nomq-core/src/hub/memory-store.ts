import { NomqError } from "../errors.ts";
import { Channels } from "./memory/channels.ts";
import { Places } from "./memory/places.ts";
import { ReceiptBook } from "./memory/receipt-book.ts";
import { States } from "./memory/states.ts";
import type { Batch, Store, Write } from "./store.ts";

/** A run may use this many numbers above the highest it had committed. */
const RUN = 2 ** 32;

/** What a memory store keeps at most. */
export interface MemoryStoreOptions {
  /** Messages of history per channel. Default 10. */
  readonly history?: number;
  /** Channels with history, and tombstones of cleared channels; the oldest go first. Default 10,000. */
  readonly historyChannels?: number;
  /** Receipts. Default 100,000. */
  readonly receipts?: number;
}

/**
 * A {@link Store} that lasts as long as the object: dispose closes it, and the same object handed to another hub
 * opens again with all that was committed. Commits are atomic; values are kept, not copied.
 */
export function createMemoryStore(options: MemoryStoreOptions = {}): Store {
  const places = new Places();
  const book = new ReceiptBook(options.receipts ?? 100_000);
  const channels = new Channels({
    perChannel: options.history ?? 10,
    channels: options.historyChannels ?? 10_000,
  });
  const once = new Map<string, string>();
  const states = new States();
  let nextStart = 1;
  let highest = 0;
  let isOpen = false;

  const mustBeOpen = (): void => {
    if (!isOpen) throw new NomqError("closed", "the store is not open");
  };
  const store = (write: Write & { write: "message" }): void => {
    const { message, to } = write;
    highest = Math.max(highest, message.seq);
    if (write.once !== undefined) once.set(write.once, message.id);
    for (const name of to) places.accept(name, message);
    book.open(message, to);
    channels.add(message);
  };
  const forget = (name: string): void => {
    const end = { name, is: "dropped", reason: "forgotten", at: Date.now() } as const;
    for (const message of places.forget(name)) book.settle(message, end);
  };
  const settle = (write: Write & { write: "outcome" }): void => {
    const message = places.settle(write);
    if (message !== undefined) book.settle(message, write);
  };
  const writers: { [W in Write as W["write"]]: (write: W) => void } = {
    message: store,
    interest: (write) => places.claim(write.stored),
    forget: (write) => forget(write.name),
    open: (write) => places.opened(write.name, write.seq, write.attempt),
    outcome: settle,
    count: (write) => places.count(write.name, write.add),
    release: (write) => void once.delete(write.once),
    seq: (write) => {
      highest = Math.max(highest, write.seq);
    },
    state: (write) => states.write(write),
  };
  const apply = (write: Write): void => {
    // The table has the writer of each kind under its name; the compiler cannot follow a union through it.
    (writers[write.write] as (write: Write) => void)(write);
  };

  return {
    open: async () => {
      isOpen = true;
      const seq = Math.max(nextStart, highest + 1);
      nextStart = seq + RUN;
      highest = seq;
      return { seq, attachments: places.stored(), once: [...once], rows: places.rows() };
    },
    commit: async (batch: Batch) => {
      mustBeOpen();
      for (const write of batch.facts) apply(write);
      for (const write of batch.offers) apply(write);
    },
    waiting: async (name, afterSeq, limit) => {
      mustBeOpen();
      return places.waiting(name, afterSeq, limit);
    },
    retained: async (filters, page) => {
      mustBeOpen();
      return channels.page(filters, page);
    },
    latest: async (channel) => {
      mustBeOpen();
      return channels.latest(channel);
    },
    receipt: async (id) => book.receipt(id),
    async *history(channel, range) {
      for (const message of channels.history(channel, range)) yield message;
    },
    async *state(owner) {
      for (const { key, value } of states.of(owner)) yield [key, value] as const;
    },
    [Symbol.asyncDispose]: async () => {
      isOpen = false;
    },
  };
}
