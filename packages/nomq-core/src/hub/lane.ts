import type { Delivery } from "../bridge.ts";
import type { Message } from "../message.ts";
import type { ReceiptRecord } from "./receipts.ts";
import type { Due } from "./time.ts";

/** What a message counts against an outbox's limit. */
export function messageBytes(message: Message): number {
  return message.payload.byteLength + Buffer.byteLength(message.channel);
}

/** A message on its way into one outbox. */
export interface Arrival {
  readonly message: Message;
  readonly bytes: number;
  /** It has a row in the store for this attachment. */
  readonly isStored: boolean;
  /** Monotonic; Infinity without expiry. */
  readonly deadline: number;
  readonly record: ReceiptRecord | undefined;
  readonly slot: number;
}

/** One message in one outbox. */
export class Entry implements Due {
  readonly message: Message;
  readonly cause: Delivery["cause"];
  readonly bytes: number;
  /** It has a row in the store. */
  readonly isStored: boolean;
  readonly deadline: number;
  readonly record: ReceiptRecord | undefined;
  /** Its place among the receipt's outcomes. */
  readonly slot: number;
  /** Calls made so far. */
  attempt = 0;
  /** QoS 2: the highest attempt committed. */
  marked = 0;
  state: "new" | "waiting" | "preparing" | "open" | "done" = "new";
  lane: Lane | undefined = undefined;
  before: Entry | undefined = undefined;
  after: Entry | undefined = undefined;
  older: Entry | undefined = undefined;
  newer: Entry | undefined = undefined;
  isReady = false;
  /** Aborts its open call, should its right go. */
  withdraw: AbortController | undefined = undefined;
  whenDue: ((entry: Entry) => void) | undefined = undefined;

  constructor(arrival: Arrival, cause: Delivery["cause"]) {
    this.message = arrival.message;
    this.cause = cause;
    this.bytes = arrival.bytes;
    this.isStored = arrival.isStored;
    this.deadline = arrival.deadline;
    this.record = arrival.record;
    this.slot = arrival.slot;
  }

  get settled(): boolean {
    return this.state === "done";
  }

  due(): void {
    if (this.state === "waiting") this.whenDue?.(this);
  }
}

/** The messages of one channel in one outbox, oldest first. */
export class Lane {
  readonly channel: string;
  head: Entry | undefined = undefined;
  last: Entry | undefined = undefined;
  /** The oldest that has no call open. */
  next: Entry | undefined = undefined;
  open = 0;
  /** Waits for the store before a call: an attempt's commit, an owed value. */
  preparing = 0;
  /** A call was answered `retry`: nothing opens until all open calls have answered. */
  isRetrying = false;
  /** Calls in a row answered `retry` without a time. */
  retries = 0;
  isBlocked = false;
  /** Ends the wait after a retry. */
  unblock: (() => void) | undefined = undefined;
  /** The retained value owed goes before all that waits here. */
  isOwedFirst = false;
  /** An owed value is being read; a live change of it makes the value needless. */
  isStruck = false;
  /** How long a retry asked to wait. */
  retryMs = 0;
  /** The newest retained change that the peer has taken. */
  taken = -1;

  constructor(channel: string) {
    this.channel = channel;
  }

  get isIdle(): boolean {
    return this.head === undefined && this.preparing === 0;
  }
}
