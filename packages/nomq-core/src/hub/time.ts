import type { CancelTimer, Clock } from "../clock.ts";
import type { Log } from "../log.ts";
import type { Message } from "../message.ts";
import { Heap } from "./heap.ts";

/** A wall clock that moved by more than this against monotonic time was set, not drifting (docs/hub.md). */
export const STEP_MS = 30_000;
const WATCH_MS = 10_000;
/** Older ones are joined: what was published before them has mostly expired. */
const MOST_STEPS = 64;

/** The wall clock was set: what is numbered below expires `by` milliseconds later than it says. */
export interface ClockStep {
  readonly below: number;
  readonly by: number;
}

/** Something that happens at a monotonic time unless it is settled before. */
export interface Due {
  readonly deadline: number;
  readonly settled: boolean;
  due(): void;
}

/** When a message expires in the wall time of today, after these steps. */
export function movedExpiry(message: Message, steps: readonly ClockStep[]): number | undefined {
  if (message.expiresAt === undefined || steps.length === 0) return message.expiresAt;
  let at = message.expiresAt;
  for (const step of steps) if (message.seq < step.below) at += step.by;
  return at;
}

/** Wall time, its steps, and all that must happen at a time: one timer for the whole hub. */
export class Time {
  readonly clock: Clock;
  private readonly log: Log;
  private readonly seq: () => number;
  private offset: number;
  private known: readonly ClockStep[];
  private readonly watched: (() => void) | undefined;
  private readonly stepped: (() => void) | undefined;
  private readonly heap = new Heap<Due>((a, b) => a.deadline < b.deadline);
  private stale = 0;
  /** No timer is set any more. */
  isClosed = false;
  private timer: { readonly at: number; readonly cancel: CancelTimer } | undefined;
  private watch: CancelTimer | undefined;
  /** Called every ten seconds. */
  looked: () => void = () => undefined;

  constructor(options: {
    clock: Clock;
    log: Log;
    seq: () => number;
    /** Of earlier runs. */
    steps?: readonly ClockStep[];
    /** Told every ten seconds. */
    watched?: () => void;
    /** Told when the wall clock was set. */
    stepped?: () => void;
  }) {
    this.known = options.steps ?? [];
    this.watched = options.watched;
    this.stepped = options.stepped;
    this.clock = options.clock;
    this.log = options.log;
    this.seq = options.seq;
    this.offset = this.clock.now() - this.clock.monotonic();
  }

  open(): void {
    if (this.isClosed) return;
    this.watch = this.clock.after(WATCH_MS, () => {
      this.now();
      this.looked();
      this.watched?.();
      this.open();
    });
  }

  close(): void {
    this.isClosed = true;
    this.watch?.();
    this.timer?.cancel();
    this.timer = undefined;
    this.heap.retain(() => false);
  }

  /** Every step that expiries still need, oldest first. */
  get steps(): readonly ClockStep[] {
    return this.known;
  }

  monotonic(): number {
    return this.clock.monotonic();
  }

  /** Unix milliseconds; notices when the wall clock was set. */
  now(): number {
    const now = this.clock.now();
    const by = now - this.clock.monotonic() - this.offset;
    if (by > STEP_MS || by < -STEP_MS) this.rebase(by);
    // What is said from now on is said in this wall time: a small step is no part of a later great one.
    else this.offset += by;
    return now;
  }

  /** When the message expires in today's wall time: what was said before a step moves with it. */
  expiresAt(message: Message): number | undefined {
    return movedExpiry(message, this.known);
  }

  /** The message with its expiry in today's wall time. */
  today(message: Message): Message {
    const expiresAt = this.expiresAt(message);
    return expiresAt === undefined || expiresAt === message.expiresAt ? message : { ...message, expiresAt };
  }

  isExpired(message: Message): boolean {
    if (message.expiresAt === undefined) return false;
    // Asked first: it may notice a step, which moves the expiry.
    const now = this.now();
    return (this.expiresAt(message) ?? now) <= now;
  }

  /** The message's end in monotonic time; Infinity without expiry. */
  deadline(message: Message): number {
    if (message.expiresAt === undefined) return Number.POSITIVE_INFINITY;
    const now = this.now();
    return this.clock.monotonic() + (this.expiresAt(message) ?? now) - now;
  }

  schedule(item: Due): void {
    if (item.deadline === Number.POSITIVE_INFINITY || this.isClosed) return;
    this.heap.push(item);
    this.arm();
  }

  /** Tells that a scheduled item was settled before its time. */
  forget(item: Due): void {
    if (item.deadline === Number.POSITIVE_INFINITY) return;
    this.stale += 1;
    if (this.stale < 1_024 || this.stale * 2 < this.heap.size) return;
    this.heap.retain((kept) => !kept.settled);
    this.stale = 0;
  }

  /** Runs what is due now. */
  sweep(): void {
    const now = this.clock.monotonic();
    for (let item = this.heap.peek(); item !== undefined && item.deadline <= now; item = this.heap.peek()) {
      this.heap.pop();
      if (item.settled) this.stale = Math.max(0, this.stale - 1);
      else item.due();
    }
  }

  private arm(): void {
    const next = this.heap.peek();
    if (next === undefined || (this.timer !== undefined && this.timer.at <= next.deadline)) return;
    this.timer?.cancel();
    const cancel = this.clock.after(next.deadline - this.clock.monotonic(), () => {
      this.timer = undefined;
      this.sweep();
      this.arm();
    });
    this.timer = { at: next.deadline, cancel };
  }

  private rebase(by: number): void {
    this.offset += by;
    this.known = joined([...this.known, { below: this.seq(), by }]);
    this.log.warn("the wall clock was set; expiries move with it", { byMs: Math.round(by) });
    this.stepped?.();
  }
}

/** At most so many steps: of the oldest two the later bound stands for both. */
function joined(steps: readonly ClockStep[]): readonly ClockStep[] {
  const [first, second, ...rest] = steps;
  if (steps.length <= MOST_STEPS || first === undefined || second === undefined) return steps;
  return [{ below: second.below, by: first.by + second.by }, ...rest];
}
