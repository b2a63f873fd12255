import type { CancelTimer, Clock } from "@nomq/core";

const TICK_MS = 10;
const SLOTS = 512;

/** Something that can be due. Make subclasses: an object per timer is what the wheel saves. */
export abstract class WheelTimer {
  /** Owned by the wheel. */
  tick = -1;
  before: WheelTimer | undefined;
  after: WheelTimer | undefined;

  /** It is due. May arm it again. Must not throw. */
  abstract fire(): void;
}

/**
 * Timers of one message layer on one timer of the clock: arming and disarming cost two pointers. Fires up to 10 ms
 * late, never early.
 */
export class TimingWheel {
  readonly #clock: Clock;
  readonly #slots: (WheelTimer | undefined)[] = Array.from({ length: SLOTS }, () => undefined);
  #armed = 0;
  /** The last tick that was gone through. */
  #tick = 0;
  #wake: { readonly tick: number; readonly cancel: CancelTimer } | undefined;
  #stopped = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Lets a timer fire once after `ms`; one that is armed already is armed anew. */
  arm(timer: WheelTimer, ms: number): void {
    if (this.#stopped) return;
    this.disarm(timer);
    const now = this.#clock.monotonic();
    if (this.#armed === 0) this.#tick = Math.floor(now / TICK_MS);
    timer.tick = Math.max(Math.ceil((now + ms) / TICK_MS), this.#tick + 1);
    const slot = timer.tick % SLOTS;
    const first = this.#slots[slot];
    timer.after = first;
    if (first !== undefined) first.before = timer;
    this.#slots[slot] = timer;
    this.#armed += 1;
    if (this.#wake === undefined || timer.tick < this.#wake.tick) this.#wakeAt(timer.tick, now);
  }

  disarm(timer: WheelTimer): void {
    if (timer.tick === -1) return;
    const { before, after } = timer;
    if (before === undefined) this.#slots[timer.tick % SLOTS] = after;
    else before.after = after;
    if (after !== undefined) after.before = before;
    timer.before = undefined;
    timer.after = undefined;
    timer.tick = -1;
    this.#armed -= 1;
  }

  /** Nothing fires any more. */
  stop(): void {
    this.#stopped = true;
    this.#wake?.cancel();
    this.#wake = undefined;
  }

  #wakeAt(tick: number, now: number): void {
    this.#wake?.cancel();
    this.#wake = { tick, cancel: this.#clock.after(tick * TICK_MS - now, () => this.#turn(tick)) };
  }

  #turn(until: number): void {
    this.#wake = undefined;
    // A timer of the clock may be a fraction early.
    const now = Math.max(Math.floor(this.#clock.monotonic() / TICK_MS), until);
    const due = this.#due(now);
    this.#tick = now;
    for (const timer of due) {
      // One that fired before may have disarmed or re-armed it.
      if (timer.tick === -1 || timer.tick > now) continue;
      this.disarm(timer);
      timer.fire();
    }
    if (this.#armed > 0 && !this.#stopped) this.#wakeNext();
  }

  #due(now: number): WheelTimer[] {
    const due: WheelTimer[] = [];
    const from = Math.max(this.#tick + 1, now - SLOTS + 1);
    for (let tick = from; tick <= now; tick += 1) {
      for (let timer = this.#slots[tick % SLOTS]; timer !== undefined; timer = timer.after) {
        if (timer.tick <= now) due.push(timer);
      }
    }
    return due.sort((one, other) => one.tick - other.tick);
  }

  #wakeNext(): void {
    for (let tick = this.#tick + 1; tick <= this.#tick + SLOTS; tick += 1) {
      if (this.#slots[tick % SLOTS] === undefined) continue;
      // What is there may be due rounds later; looking in vain then is cheap.
      if (this.#wake === undefined || tick < this.#wake.tick) this.#wakeAt(tick, this.#clock.monotonic());
      return;
    }
  }
}
