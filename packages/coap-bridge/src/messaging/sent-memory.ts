import type { SentOutcome } from "./messaging.ts";
import { NON_LIFETIME_MS } from "./parameters.ts";
import type { Peer } from "./peer.ts";

/** A NON of ours that the other side may still reset. */
export interface Resettable {
  readonly peer: Peer;
  readonly ended: (outcome: SentOutcome) => void;
}

const MOST = 65_536;

/** NON messages of ours by message id, for NON_LIFETIME to twice that, two times 65,536 at most: two generations. */
export class SentMemory {
  #young = new Map<number, Resettable>();
  #old = new Map<number, Resettable>();
  #since = 0;

  add(messageId: number, sent: Resettable, now: number): void {
    if (now - this.#since >= NON_LIFETIME_MS || this.#young.size >= MOST) this.#turn(now);
    this.#young.set((sent.peer.slot << 16) | messageId, sent);
  }

  /** Takes out the one that has this message id. */
  take(peer: Peer, messageId: number): Resettable | undefined {
    const key = (peer.slot << 16) | messageId;
    const sent = this.#young.get(key) ?? this.#old.get(key);
    // Slots are used again.
    if (sent?.peer !== peer) return undefined;
    this.#young.delete(key);
    this.#old.delete(key);
    return sent;
  }

  /** Lets go what is too old, also where nothing is sent any more. */
  sweep(now: number): void {
    if (now - this.#since >= NON_LIFETIME_MS) this.#turn(now);
  }

  #turn(now: number): void {
    this.#old = now - this.#since >= 2 * NON_LIFETIME_MS ? new Map() : this.#young;
    this.#young = new Map();
    this.#since = now;
  }
}
