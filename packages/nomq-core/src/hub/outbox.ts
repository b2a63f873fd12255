import type { Delivery, OutboxLimits } from "../bridge.ts";
import type { Message } from "../message.ts";
import { Heap } from "./heap.ts";
import type { ReceiptRecord } from "./receipts.ts";
import type { Due } from "./time.ts";
import { Victims } from "./victims.ts";

export const DEFAULT_OUTBOX: OutboxLimits = {
  messages: 10_000,
  bytes: 64 * 1024 * 1024,
  whenFull: "drop-oldest",
};

/** Lanes an outbox keeps though nothing waits in them. */
const IDLE_LANES = 64;

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

/** The waiting rows of a durable attachment that are in the store only. */
export interface Tail {
  messages: number;
  bytes: number;
  /** Rows up to this `seq` are in memory or done. */
  after: number;
  isReading: boolean;
  /**
   * Rows above `after` that ended without being held: until the end is committed, a reading may still find them.
   * True once it is.
   */
  readonly ended: Map<number, boolean>;
}

/** Messages accepted for one attachment and not yet delivered: lanes, order between them, limits. */
export class Outbox {
  limits: OutboxLimits;
  readonly lanes: Map<string, Lane> = new Map();
  readonly victims: Victims = new Victims();
  readonly tail: Tail = { messages: 0, bytes: 0, after: 0, isReading: false, ended: new Map() };
  held = 0;
  /** Owed values read and not called yet. */
  unsent = 0;
  heldBytes = 0;
  /** Room promised to messages that wait for their commit. */
  reserved = 0;
  reservedBytes = 0;
  private readonly ready = new Heap<Entry>(goesBefore);

  constructor(limits: OutboxLimits) {
    this.limits = limits;
  }

  get messages(): number {
    return this.held + this.tail.messages;
  }

  get bytes(): number {
    return this.heldBytes + this.tail.bytes;
  }

  /** Whether one more message finds room beside what is reserved. */
  hasRoom(bytes: number): boolean {
    if (this.messages + this.reserved + 1 > this.limits.messages) return false;
    return this.bytes + this.reservedBytes + bytes <= this.limits.bytes;
  }

  reserve(bytes: number): void {
    this.reserved += 1;
    this.reservedBytes += bytes;
  }

  release(bytes: number): void {
    this.reserved -= 1;
    this.reservedBytes -= bytes;
  }

  laneOf(channel: string): Lane {
    let lane = this.lanes.get(channel);
    if (lane === undefined) {
      lane = new Lane(channel);
      this.lanes.set(channel, lane);
    }
    return lane;
  }

  /** Sheds an idle lane, but for a few: the next message of its channel takes it up again. */
  rest(lane: Lane): void {
    lane.retries = 0;
    if (this.lanes.size > IDLE_LANES) this.lanes.delete(lane.channel);
  }

  append(entry: Entry): Lane {
    const lane = this.laneOf(entry.message.channel);
    entry.lane = lane;
    entry.before = lane.last;
    if (lane.last === undefined) lane.head = entry;
    else lane.last.after = entry;
    lane.last = entry;
    lane.next ??= entry;
    this.hold(entry);
    return lane;
  }

  /** Puts an owed value in front of its lane; it is called at once. */
  prepend(entry: Entry, lane: Lane): void {
    entry.lane = lane;
    entry.after = lane.head;
    if (lane.head === undefined) lane.last = entry;
    else lane.head.before = entry;
    lane.head = entry;
    lane.next = entry;
    this.unsent += 1;
    this.hold(entry);
  }

  remove(entry: Entry): void {
    const lane = entry.lane;
    if (lane === undefined) return;
    if (entry.state === "waiting") this.leave(entry);
    if (lane.next === entry) lane.next = entry.after;
    if (entry.before === undefined) lane.head = entry.after;
    else entry.before.after = entry.after;
    if (entry.after === undefined) lane.last = entry.before;
    else entry.after.before = entry.before;
    entry.before = undefined;
    entry.after = undefined;
    entry.state = "done";
    this.held -= 1;
    this.heldBytes -= entry.bytes;
  }

  /** Takes the entry out of what may be called or dropped; `wait` undoes it. */
  take(entry: Entry, state: "preparing" | "open"): void {
    if (entry.state === "waiting") this.leave(entry);
    entry.state = state;
    if (entry.lane?.next === entry) entry.lane.next = entry.after;
  }

  wait(entry: Entry): void {
    entry.state = "waiting";
    this.victims.add(entry);
  }

  /** Starts the lane again at its oldest message without an open call. */
  rewind(lane: Lane): void {
    let entry = lane.head;
    while (entry !== undefined && entry.state !== "waiting") entry = entry.after;
    lane.next = entry;
  }

  /** Lets the lane's next message be chosen. */
  offer(lane: Lane, isOrdered: boolean): void {
    const entry = lane.next;
    if (entry === undefined || entry.isReady || !mayOpen(lane, isOrdered)) return;
    entry.isReady = true;
    this.ready.push(entry);
    if (this.ready.size > 64 + 2 * this.held) this.ready.retain((kept) => kept.state === "waiting");
  }

  /** The message to call next: the highest priority at the head of a lane, then the oldest. */
  peek(isOrdered: boolean): Entry | undefined {
    for (let entry = this.ready.peek(); entry !== undefined; entry = this.ready.peek()) {
      const lane = entry.lane;
      if (lane !== undefined && lane.next === entry && mayOpen(lane, isOrdered)) return entry;
      this.ready.pop();
      entry.isReady = false;
    }
    return undefined;
  }

  pop(): void {
    const entry = this.ready.pop();
    if (entry !== undefined) entry.isReady = false;
  }

  *entries(): Generator<Entry> {
    for (const lane of this.lanes.values()) {
      for (let entry = lane.head; entry !== undefined; ) {
        const { after } = entry;
        yield entry;
        entry = after;
      }
    }
  }

  private leave(entry: Entry): void {
    this.victims.remove(entry);
    if (entry.cause !== "live" && entry.attempt === 0) this.unsent -= 1;
  }

  private hold(entry: Entry): void {
    entry.state = "waiting";
    this.held += 1;
    this.heldBytes += entry.bytes;
    this.victims.add(entry);
  }
}

function mayOpen(lane: Lane, isOrdered: boolean): boolean {
  if (lane.isRetrying || lane.isBlocked || lane.isOwedFirst || lane.preparing > 0) return false;
  return isOrdered || lane.open === 0;
}

function goesBefore(a: Entry, b: Entry): boolean {
  const byPriority = b.message.priority - a.message.priority;
  return byPriority === 0 ? a.message.seq < b.message.seq : byPriority < 0;
}
