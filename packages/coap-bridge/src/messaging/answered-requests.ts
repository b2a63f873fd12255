import { EXCHANGE_LIFETIME_MS } from "./parameters.ts";
import type { Peer } from "./peer.ts";

/** How a request was answered, to say it again: nothing, an empty acknowledgement, a piggybacked answer, a NON one. */
export const Said = { nothing: 0, acknowledgement: 1, piggybacked: 2, separately: 3 } as const;
export type Said = (typeof Said)[keyof typeof Said];

/** One transmission of a request: the same remote, message id and bytes. */
export interface Transmission {
  readonly peer: Peer;
  readonly messageId: number;
  readonly fingerprint: number;
}

/** What was said to it. */
export interface SaidAnswer {
  readonly said: Said;
  readonly code: number;
  readonly token: Uint8Array;
  /** Of a NON answer. */
  readonly messageId: number;
  /** Undefined also where it was let go for lack of room. */
  readonly tail: Uint8Array | undefined;
  readonly tailWasLetGo: boolean;
}

const FIRST_CAPACITY = 1024;
/** Pages of a typed array that nothing was written to take no memory, those of the one before stay until a collection. */
const GROWTH = 4;
const TOKEN_BYTES = 8;
/** A refusal's tail, or that of an acknowledged block, fits; an array of its own would weigh ten times as much. */
const SHORT_TAIL_BYTES = 20;
const COPIED_BYTES = TOKEN_BYTES + SHORT_TAIL_BYTES;
const TIME_UNIT_MS = 100;
const LIFETIME = EXCHANGE_LIFETIME_MS / TIME_UNIT_MS;
/** 1,061 requests a second are remembered for the whole EXCHANGE_LIFETIME, faster ones for less. */
const DEFAULT_MOST = 262_144;
const DEFAULT_MOST_BYTES = 32 * 1024 * 1024;
/** What an array weighs beside its bytes, where it is not shared. */
const TAIL_OVERHEAD = 256;

/**
 * Requests that were answered within EXCHANGE_LIFETIME, and the answers: a duplicate gets the same bytes (RFC 7252
 * section 4.5). A ring in typed arrays, the oldest going first, so that a request costs 65 bytes and no garbage; short
 * tails of answers are copied into it, long ones are shared with their caches and let go, oldest first, beyond `mostBytes`.
 */
export class AnsweredRequests {
  readonly #most: number;
  readonly #mostBytes: number;
  #capacity: number = FIRST_CAPACITY;
  /** Where the oldest is, and how many there are. */
  #oldest = 0;
  #count = 0;
  /** How many of the oldest have no tail any more. */
  #light = 0;
  #tailBytes = 0;
  #keys: Int32Array;
  #serials: Uint32Array;
  #fingerprints: Int32Array;
  #times: Uint32Array;
  #messageIds: Uint16Array;
  /** Code, token length and what was said. */
  #facts: Uint16Array;
  /** Of each its token, then its tail where that is short: `tailLengths` are those of the short ones. */
  #copied: Uint8Array;
  #tailLengths: Uint8Array;
  #tails: (Uint8Array | null | undefined)[];
  #chains: Int32Array;
  #buckets: Int32Array;

  constructor(most: number = DEFAULT_MOST, mostBytes: number = DEFAULT_MOST_BYTES) {
    this.#most = most;
    this.#mostBytes = mostBytes;
    this.#capacity = Math.min(FIRST_CAPACITY, most);
    this.#keys = new Int32Array(this.#capacity);
    this.#serials = new Uint32Array(this.#capacity);
    this.#fingerprints = new Int32Array(this.#capacity);
    this.#times = new Uint32Array(this.#capacity);
    this.#messageIds = new Uint16Array(this.#capacity);
    this.#facts = new Uint16Array(this.#capacity);
    this.#copied = new Uint8Array(this.#capacity * COPIED_BYTES);
    this.#tailLengths = new Uint8Array(this.#capacity);
    this.#tails = Array.from({ length: this.#capacity });
    this.#chains = new Int32Array(this.#capacity);
    this.#buckets = new Int32Array(this.#capacity).fill(-1);
  }

  /** Where a transmission stands, or -1: it is new. */
  find({ peer, messageId, fingerprint }: Transmission, now: number): number {
    const key = (peer.slot << 16) | messageId;
    const since = Math.floor(now / TIME_UNIT_MS) - LIFETIME;
    for (let at = this.#buckets[this.#bucketOf(key)] ?? -1; at !== -1; at = this.#chains[at] ?? -1) {
      if (this.#keys[at] !== key || this.#fingerprints[at] !== (fingerprint | 0)) continue;
      if (this.#serials[at] === peer.serial && (this.#times[at] ?? 0) >= since) return at;
    }
    return -1;
  }

  /** What was said to the one that stands there. */
  answer(at: number): SaidAnswer {
    const facts = this.#facts[at] ?? 0;
    const tail = this.#tails[at];
    const from = at * COPIED_BYTES;
    const short = this.#tailLengths[at] ?? 0;
    const shortFrom = from + TOKEN_BYTES;
    return {
      // Two bits hold exactly the four kinds.
      said: (facts & 3) as Said,
      code: facts >> 8,
      token: this.#copied.subarray(from, from + ((facts >> 2) & 15)),
      messageId: this.#messageIds[at] ?? 0,
      tail: short > 0 ? this.#copied.subarray(shortFrom, shortFrom + short) : (tail ?? undefined),
      tailWasLetGo: tail === null,
    };
  }

  /** Remembers what was said to one. */
  add(
    { peer, messageId, fingerprint }: Transmission,
    answer: Omit<SaidAnswer, "tailWasLetGo">,
    now: number,
  ): void {
    this.#makeRoom(now);
    const at = (this.#oldest + this.#count) % this.#capacity;
    this.#count += 1;
    const key = (peer.slot << 16) | messageId;
    const { token, tail } = answer;
    this.#keys[at] = key;
    this.#serials[at] = peer.serial;
    this.#fingerprints[at] = fingerprint;
    this.#times[at] = Math.floor(now / TIME_UNIT_MS);
    this.#messageIds[at] = answer.messageId;
    this.#facts[at] = (answer.code << 8) | (token.length << 2) | answer.said;
    this.#copy(token, at * COPIED_BYTES);
    this.#keepTail(at, tail);
    this.#link(at, key);
    if (this.#tailBytes > this.#mostBytes) this.#lighten();
  }

  #keepTail(at: number, tail: Uint8Array | undefined): void {
    const isShort = tail !== undefined && tail.length <= SHORT_TAIL_BYTES;
    this.#tailLengths[at] = isShort ? tail.length : 0;
    if (isShort) this.#copy(tail, at * COPIED_BYTES + TOKEN_BYTES);
    else this.#tails[at] = tail;
    if (!isShort) this.#tailBytes += weightOf(tail);
  }

  #copy(bytes: Uint8Array, to: number): void {
    for (let at = 0; at < bytes.length; at += 1) this.#copied[to + at] = bytes[at] ?? 0;
  }

  #bucketOf(key: number): number {
    return (Math.imul(key, 0x9e3779b1) >>> 8) % this.#capacity;
  }

  #link(at: number, key: number): void {
    const bucket = this.#bucketOf(key);
    this.#chains[at] = this.#buckets[bucket] ?? -1;
    this.#buckets[bucket] = at;
  }

  #makeRoom(now: number): void {
    const since = Math.floor(now / TIME_UNIT_MS) - LIFETIME;
    // Two for each one added: what is too old goes while there is traffic.
    for (let turn = 0; turn < 2; turn += 1) {
      if (this.#count > 0 && (this.#times[this.#oldest] ?? 0) < since) this.#dropOldest();
    }
    if (this.#count < this.#capacity) return;
    if (this.#capacity < this.#most) this.#grow();
    else this.#dropOldest();
  }

  #dropOldest(): void {
    const at = this.#oldest;
    const bucket = this.#bucketOf(this.#keys[at] ?? 0);
    // Newer ones stand before older ones: it is the last of its chain.
    let before = -1;
    let here = this.#buckets[bucket] ?? -1;
    while (here !== at) {
      before = here;
      here = this.#chains[here] ?? -1;
    }
    if (before === -1) this.#buckets[bucket] = -1;
    else this.#chains[before] = -1;
    this.#tailBytes -= weightOf(this.#tails[at]);
    this.#tails[at] = undefined;
    this.#oldest = (at + 1) % this.#capacity;
    this.#count -= 1;
    if (this.#light > 0) this.#light -= 1;
  }

  #lighten(): void {
    while (this.#tailBytes > this.#mostBytes && this.#light < this.#count) {
      const at = (this.#oldest + this.#light) % this.#capacity;
      const weight = weightOf(this.#tails[at]);
      this.#light += 1;
      if (weight === 0) continue;
      this.#tailBytes -= weight;
      this.#tails[at] = null;
    }
  }

  #grow(): void {
    const old = this.#capacity;
    const to = Math.min(old * GROWTH, this.#most);
    const split = this.#oldest;
    this.#keys = regrown(this.#keys, new Int32Array(to), split);
    this.#serials = regrown(this.#serials, new Uint32Array(to), split);
    this.#fingerprints = regrown(this.#fingerprints, new Int32Array(to), split);
    this.#times = regrown(this.#times, new Uint32Array(to), split);
    this.#messageIds = regrown(this.#messageIds, new Uint16Array(to), split);
    this.#facts = regrown(this.#facts, new Uint16Array(to), split);
    this.#copied = regrown(this.#copied, new Uint8Array(to * COPIED_BYTES), split * COPIED_BYTES);
    this.#tailLengths = regrown(this.#tailLengths, new Uint8Array(to), split);
    const tails = this.#tails;
    this.#tails = Array.from({ length: to }, (_, at) => (at < old ? tails[(split + at) % old] : undefined));
    this.#chains = new Int32Array(to);
    this.#buckets = new Int32Array(to).fill(-1);
    this.#oldest = 0;
    this.#capacity = to;
    for (let at = 0; at < this.#count; at += 1) this.#link(at, this.#keys[at] ?? 0);
  }
}

const weightOf = (tail: Uint8Array | null | undefined): number =>
  tail === undefined || tail === null ? 0 : TAIL_OVERHEAD + tail.length;

/** The ring from its oldest on, at the beginning of a larger array. */
function regrown<Ring extends Int32Array | Uint32Array | Uint16Array | Uint8Array>(
  ring: Ring,
  larger: Ring,
  oldest: number,
): Ring {
  larger.set(ring.subarray(oldest), 0);
  larger.set(ring.subarray(0, oldest), ring.length - oldest);
  return larger;
}
