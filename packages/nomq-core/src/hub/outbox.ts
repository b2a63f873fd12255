import type { OutboxLimits } from "../bridge.ts";
import { Heap } from "./heap.ts";
import { type Entry, Lane } from "./lane.ts";
import { Victims } from "./victims.ts";

export const DEFAULT_OUTBOX: OutboxLimits = {
  messages: 10_000,
  bytes: 64 * 1024 * 1024,
  whenFull: "drop-oldest",
};

/** Lanes an outbox keeps though nothing waits in them. */
const IDLE_LANES = 64;

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
