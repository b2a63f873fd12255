import type { CancelTimer } from "../clock.ts";
import { NomqError } from "../errors.ts";
import type { Log } from "../log.ts";
import { BATCH_FACTS, cutOf, stateKey } from "./facts.ts";
import type { Counts } from "./ledger.ts";
import type { Landing, OpenCommit } from "./open-commit.ts";
import type { Place } from "./place.ts";
import type { Step } from "./step.ts";
import type { Store, Write } from "./store.ts";
import type { Time } from "./time.ts";
import type { Turn } from "./turn.ts";
import { UnsaidCounts } from "./unsaid-counts.ts";

/** A batch keeps the loop free: 1,024 messages gave delays of 19 ms. */
const BATCH_STEPS = 256;
const BATCH_BYTES = 1024 * 1024;
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5_000;
const SAY_AGAIN_MS = 10_000;

/**
 * Group commit: one batch open at a time while the next collects. A failed commit refuses its offers and keeps its
 * facts for the next.
 */
export class Writer {
  private readonly store: Store;
  private readonly time: Time;
  private readonly turn: Turn;
  private readonly log: Log;
  private readonly limits: { readonly messages: number; readonly bytes: number };
  private steps: Step[] = [];
  private first = 0;
  private waitingBytes = 0;
  private facts: Write[] = [];
  private states = new Map<string, Write>();
  private readonly counts: UnsaidCounts;
  private landed: Landing[] = [];
  private open: OpenCommit | undefined;
  private isRunning = false;
  private isScheduled = false;
  private isAbandoned = false;
  private factsNext = false;
  private failures = 0;
  /** When a refused commit was said last. */
  private saidAt = Number.NEGATIVE_INFINITY;
  private timer: CancelTimer | undefined;
  private idle: (() => void)[] = [];

  constructor(options: {
    store: Store;
    time: Time;
    turn: Turn;
    log: Log;
    limits: { readonly messages: number; readonly bytes: number };
  }) {
    this.store = options.store;
    this.time = options.time;
    this.counts = new UnsaidCounts(options.time.clock, () => this.schedule());
    this.turn = options.turn;
    this.log = options.log;
    this.limits = options.limits;
  }

  /** Whether what waits for the store leaves room for that many bytes more. */
  hasRoom(bytes: number): boolean {
    return (
      this.steps.length - this.first < this.limits.messages && this.waitingBytes + bytes <= this.limits.bytes
    );
  }

  enqueue(step: Step): void {
    if (this.isAbandoned) {
      step.failed(new NomqError("closed", "the hub is closed"));
      return;
    }
    this.steps.push(step);
    this.waitingBytes += step.bytes;
    this.schedule();
  }

  /** The commit that is open, and how many steps wait for theirs. */
  progress(): { readonly open: object | undefined; readonly waiting: number } {
    return { open: this.open, waiting: this.steps.length - this.first + (this.open?.taken.length ?? 0) };
  }

  /** Writes that must land sooner or later. */
  fact(write: Write): void {
    this.facts.push(write);
    if (this.isRunning || this.isScheduled || this.timer !== undefined) return;
    this.isScheduled = true;
    // Not at once: the outcomes of one turn and the next messages share a commit.
    setImmediate(this.wake);
  }

  /** Resolves when all facts so far are in the store; rejects when they never will be. */
  landing(): Promise<void> {
    if (this.isAbandoned) return Promise.reject(new NomqError("closed", "the hub is closed"));
    return new Promise((resolve, reject) => {
      this.landed.push({ resolve, reject });
      this.schedule();
    });
  }

  /** The counts to add for a name with the next batch; alone they wait up to a second. */
  countsOf(name: string): Counts {
    return this.counts.of(name);
  }

  /** As `countsOf`, without looking the name up each time. */
  countsFor(place: Place): Counts {
    return this.counts.for(place);
  }

  /** Drops what was counted for a name: its row goes. */
  discountsOf(name: string): void {
    this.counts.drop(name);
  }

  /** Commits all that waits, or as far as it comes before `abandon`. */
  async flush(): Promise<void> {
    while (!this.isAbandoned && this.hasWork()) {
      const idle = new Promise<void>((resolve) => this.idle.push(resolve));
      this.schedule();
      await idle;
    }
  }

  /** Ends for good: what still waits is refused. */
  abandon(error: unknown): void {
    this.isAbandoned = true;
    this.timer?.();
    this.counts.stop();
    const steps = [...(this.open?.taken ?? []), ...this.steps.slice(this.first)];
    const landed = [...(this.open?.landed ?? []), ...this.landed];
    this.open = undefined;
    this.steps = [];
    this.landed = [];
    this.first = 0;
    for (const step of steps) this.guard(() => step.failed(error));
    for (const { reject } of landed) reject(error);
    this.rest();
  }

  private hasWork(): boolean {
    const waits = this.steps.length - this.first + this.facts.length + this.states.size + this.counts.size;
    return waits + this.landed.length > 0 || this.isRunning;
  }

  private schedule(): void {
    if (this.isRunning || this.isScheduled || this.isAbandoned) return;
    this.isScheduled = true;
    queueMicrotask(this.wake);
  }

  private readonly wake = (): void => {
    this.isScheduled = false;
    if (this.isRunning || this.isAbandoned) return;
    this.timer?.();
    this.timer = undefined;
    this.isRunning = true;
    void this.run();
  };

  private async run(): Promise<void> {
    let isFailed = false;
    while (!this.isAbandoned && !isFailed && this.hasWorkNow()) {
      const next = this.takeNext();
      let lost: { readonly error: unknown } | undefined;
      try {
        // Awaited here: each message that comes alone would pay for one more asynchronous function.
        if (next.offers.length + next.facts.length > 0) await this.store.commit(next);
      } catch (error) {
        lost = { error };
      }
      isFailed = !this.close(next, lost) && this.steps.length === this.first;
      if (this.turn.spent()) await this.turn.next();
    }
    this.isRunning = false;
    if (isFailed) this.pause();
    this.rest();
  }

  private hasWorkNow(): boolean {
    return (
      this.steps.length > this.first ||
      this.facts.length + this.states.size + this.landed.length > 0 ||
      this.counts.isDue ||
      (this.counts.size > 0 && this.idle.length > 0)
    );
  }

  private rest(): void {
    const idle = this.idle;
    this.idle = [];
    for (const resolve of idle) resolve();
  }

  private pause(): void {
    const ms = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(this.failures - 1, 10));
    this.timer = this.time.clock.after(ms, this.wake);
  }

  private takeNext(): OpenCommit {
    const batch: { offers: Write[]; facts: Write[] } = { offers: [], facts: this.takeFacts() };
    // What is left of the facts goes before anything newer.
    const hasMore = this.facts.length > 0;
    const landed = hasMore ? [] : this.landed.splice(0);
    const isFactsOnly = hasMore || (this.factsNext && batch.facts.length > 0);
    const taken = isFactsOnly ? [] : this.takeSteps(batch);
    this.open = { offers: batch.offers, facts: batch.facts, taken, landed };
    return this.open;
  }

  /** Answers whether it is in the store. */
  private close(open: OpenCommit, lost: { readonly error: unknown } | undefined): boolean {
    // Given up meanwhile: its steps have been told.
    if (this.isAbandoned) return false;
    this.open = undefined;
    if (lost !== undefined) {
      this.fail(lost.error, open);
      return false;
    }
    this.failures = 0;
    this.factsNext = false;
    for (const step of open.taken) this.guard(() => step.committed());
    for (const { resolve } of open.landed) resolve();
    return true;
  }

  /** The steps of the next batch that have something to commit. */
  private takeSteps(batch: { offers: Write[]; facts: Write[] }): Step[] {
    const taken: Step[] = [];
    let bytes = 0;
    while (taken.length < BATCH_STEPS && bytes < BATCH_BYTES && batch.facts.length < BATCH_FACTS) {
      const step = this.steps[this.first];
      if (step === undefined || (step.isAlone === true && taken.length > 0)) break;
      this.first += 1;
      this.waitingBytes -= step.bytes;
      bytes += step.bytes;
      this.guard(() => {
        if (step.decide(batch) === "commit") taken.push(step);
      });
      if (step.isAlone === true) break;
    }
    if (this.first === this.steps.length) this.steps.length = 0;
    else if (this.first > 4_096) this.steps = this.steps.slice(this.first);
    else return taken;
    this.first = 0;
    return taken;
  }

  private takeFacts(): Write[] {
    // Mostly there are none: a batch of one message shall not pay for them.
    if (this.facts.length === 0 && this.states.size === 0 && this.counts.size === 0) return [];
    // After a failure all at once: an outcome's state stands apart, and facts alone must not go round for ever.
    const end = this.failures > 0 ? this.facts.length : cutOf(this.facts);
    // States of a commit that failed are older than what came since.
    const facts = [...this.states.values(), ...this.facts.slice(0, end)];
    this.facts = this.facts.slice(end);
    this.states.clear();
    if (this.facts.length === 0) for (const write of this.counts.take()) facts.push(write);
    return facts;
  }

  private fail(error: unknown, lost: OpenCommit): void {
    this.failures += 1;
    // A disk that is full for messages may still take outcomes; if it takes neither, messages are refused, not kept.
    this.factsNext = lost.taken.length > 0;
    // While a disk is full this is every commit.
    const now = this.time.clock.monotonic();
    const level = now - this.saidAt < SAY_AGAIN_MS ? "debug" : "error";
    if (level === "error") this.saidAt = now;
    this.log[level]("the store refused a commit; its messages are refused, its facts wait", {
      error: error instanceof Error ? error.message : "unknown",
      messages: lost.taken.length,
    });
    const later = this.facts;
    this.facts = [];
    for (const write of lost.facts) {
      if (write.write === "count") this.countsOf(write.name).add(write.add);
      else if (write.write === "state") this.states.set(stateKey(write), write);
      else this.facts.push(write);
      // What was counted before goes with the row.
      if (write.write === "forget") this.discountsOf(write.name);
    }
    for (const write of later) this.facts.push(write);
    this.landed.unshift(...lost.landed);
    for (const step of lost.taken.toReversed()) this.guard(() => step.failed(error));
  }

  /** One step that throws must not stop the queue. */
  private guard(run: () => void): void {
    try {
      run();
    } catch (error) {
      this.log.error("the hub failed inside; please report it", { error: String(error) });
    }
  }
}
