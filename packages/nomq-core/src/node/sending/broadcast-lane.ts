import type { CancelTimer, Clock } from "../../clock.ts";
import type { PublishOutcome } from "../contract.ts";
import type { BroadcastTurns } from "./broadcast-turns.ts";

/** Messages to one broadcast address: they leave one datagram at a time and never faster than their pace. */
export interface BroadcastLane {
  send(message: LaneMessage): Promise<PublishOutcome>;
  stop(): void;
}

/** A message of a lane. */
export interface LaneMessage {
  /** Messages of one channel keep their order; between channels the higher priority goes first. */
  readonly channel: string;
  readonly priority: number;
  /** Each seals one copy as it leaves, with this many milliseconds to live; undefined: without end. */
  readonly copies: readonly ((leftMs: number | undefined) => Uint8Array)[];
  readonly lastsMs: number | undefined;
  readonly signal: AbortSignal | undefined;
}

/** What a lane works with. */
export interface LaneUse {
  readonly clock: Clock;
  readonly turns: BroadcastTurns;
  readonly put: (datagram: Uint8Array) => void;
  /** Nothing waits. */
  readonly idle: () => void;
}

/** At most as many messages wait for an address; beyond that senders are told `busy`. */
const MOST_WAITING = 64;

/** Makes a lane. */
export function createBroadcastLane(use: LaneUse): BroadcastLane {
  return new Lane(use);
}

type Ending =
  | { readonly is: "delivered" | "expired" }
  | { readonly is: "unanswered"; readonly reason: string };

class Lane implements BroadcastLane {
  readonly #use: LaneUse;
  /** In the order they came. */
  readonly #waiting = new Set<Waiting>();
  /** Taken, and not used yet. */
  #turnAt: number | undefined;
  #timer: CancelTimer | undefined;
  #stopped = false;

  constructor(use: LaneUse) {
    this.#use = use;
  }

  send(message: LaneMessage): Promise<PublishOutcome> {
    const { signal, lastsMs } = message;
    if (signal?.aborted === true) {
      // A lane made for this message is idle.
      this.#pump();
      return ended({ is: "unanswered", reason: "aborted" });
    }
    if (this.#waiting.size >= MOST_WAITING) return ended({ is: "refused", reason: "busy" });
    return new Promise((resolve) => {
      const { clock } = this.#use;
      const one: Waiting = {
        message,
        deadline: lastsMs === undefined ? undefined : clock.monotonic() + lastsMs,
        left: 0,
        resolve,
        cancel: () => undefined,
      };
      const abort = (): void => this.#end(one, { is: "unanswered", reason: "aborted" });
      const cancelExpiry =
        lastsMs === undefined ? undefined : clock.after(lastsMs, () => this.#end(one, { is: "expired" }));
      one.cancel = () => {
        cancelExpiry?.();
        signal?.removeEventListener("abort", abort);
      };
      signal?.addEventListener("abort", abort, { once: true });
      this.#waiting.add(one);
      this.#pump();
    });
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.();
    this.#timer = undefined;
    for (const one of this.#waiting) this.#end(one, { is: "unanswered", reason: "closed" });
    this.#use.idle();
  }

  #pump(): void {
    while (this.#timer === undefined && !this.#stopped) {
      const now = this.#use.clock.monotonic();
      const next = nextOf(this.#waiting);
      if (next === undefined) {
        this.#use.idle();
        return;
      }
      this.#turnAt ??= this.#use.turns.take(now);
      if (now < this.#turnAt) {
        this.#wakeAt(this.#turnAt - now);
        return;
      }
      this.#put(next, now);
    }
  }

  #wakeAt(ms: number): void {
    this.#timer = this.#use.clock.after(ms, () => {
      this.#timer = undefined;
      this.#pump();
    });
  }

  #put(one: Waiting, now: number): void {
    const leftMs = one.deadline === undefined ? undefined : one.deadline - now;
    const copy = one.message.copies[one.left];
    if (leftMs !== undefined && leftMs <= 0) {
      this.#end(one, { is: "expired" });
      return;
    }
    if (copy !== undefined) {
      one.left += 1;
      this.#turnAt = undefined;
      this.#use.put(copy(leftMs));
    }
    if (one.left === one.message.copies.length) this.#end(one, { is: "delivered" });
  }

  #end(one: Waiting, outcome: Ending): void {
    if (!this.#waiting.delete(one)) return;
    one.cancel();
    one.resolve({ ...outcome, packetId: 0, sessionId: 0, sent: one.left > 0 });
  }
}

interface Waiting {
  readonly message: LaneMessage;
  /** Monotonic milliseconds. */
  readonly deadline: number | undefined;
  /** Copies that have left. */
  left: number;
  readonly resolve: (outcome: PublishOutcome) => void;
  cancel: () => void;
}

/** The message some of whose copies have left; else, of the first of each channel, the most urgent and oldest. */
function nextOf(waiting: ReadonlySet<Waiting>): Waiting | undefined {
  const seen = new Set<string>();
  let best: Waiting | undefined;
  for (const one of waiting) {
    const { channel, priority } = one.message;
    if (one.left > 0) return one;
    if (seen.has(channel)) continue;
    seen.add(channel);
    if (best === undefined || priority > best.message.priority) best = one;
  }
  return best;
}

function ended(outcome: { is: "unanswered" | "refused"; reason: string }): Promise<PublishOutcome> {
  return Promise.resolve({ ...outcome, packetId: 0, sessionId: 0, sent: false });
}
