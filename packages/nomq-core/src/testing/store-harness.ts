import type { Batch, Store, Write } from "../hub/store.ts";
import type { Message } from "../message.ts";

/** A store under test. */
export interface StoreHarness extends AsyncDisposable {
  /** `open` has not been called yet; after `reopen` it has. */
  readonly store: Store;
  /**
   * Opens the same contents again and makes that `store`: after it was closed, or as a process finds them that
   * follows one killed at this moment.
   */
  reopen(how: "stop" | "kill"): Promise<void>;
}

/** What a kind of store must tell the contract suite. */
export interface StoreContract {
  /** A new, empty store that keeps 10 messages of history per channel. */
  make(): Promise<StoreHarness>;
}

/** One promise of every store. */
export interface StoreCase {
  readonly name: string;
  run(contract: StoreContract): Promise<void>;
}

const encoder = new TextEncoder();
const START = 1_760_000_000_000;

/** A message with a number of its own; times lie near that of a new fake clock. */
export function storedMessage(seq: number, given: Partial<Message> = {}): Message {
  return {
    id: seq.toString(16).padStart(32, "0"),
    seq,
    channel: "a/b",
    payload: encoder.encode(`${seq}`),
    qos: 1,
    retain: false,
    priority: 0,
    publishedAt: START + seq,
    origin: "test",
    ...given,
  };
}

/** The write of a message. */
export const messageWrite = (message: Message, to: readonly string[] = [], once?: string): Write => ({
  ...{ write: "message", message, to },
  ...(once === undefined ? {} : { once }),
});

/** The write of an attachment's interest. */
export const interestWrite = (name: string, filters: readonly string[] = ["#"]): Write => ({
  write: "interest",
  stored: { name, as: "anonymous", filters, outbox: { messages: 100, bytes: 10_000, whenFull: "refuse" } },
});

/** A batch: when its commit fails the hub refuses its offers and offers its facts again. */
export const batchOf = (offers: readonly Write[], facts: readonly Write[] = []): Batch => ({ offers, facts });

/** All items of an iterable that ends. */
export async function collected<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}
