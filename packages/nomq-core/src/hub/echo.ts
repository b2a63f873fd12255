import { crc32 } from "node:zlib";
import type { Message } from "../message.ts";

/** How long our own send may take to come back (docs/adr/0005-loop-prevention.md). */
const TICKET_MS = 10_000;
/** Tickets one attachment may hold; the oldest goes first. */
const MOST = 10_000;

/** Fingerprints of channel and payload; a message that goes to many is read once. */
export class Prints {
  private last: Message | undefined;
  private print = 0;

  of(message: Message): number {
    if (this.last === message) return this.print;
    this.print = printOf(message.channel, message.payload);
    this.last = message;
    return this.print;
  }
}

/** 52 bits, of which 32 tell payloads on one channel apart. Not a defence: a forged collision hides only its forger. */
export function printOf(channel: string, payload: Uint8Array): number {
  let hash = payload.byteLength;
  for (let at = 0; at < channel.length; at += 1) hash = Math.imul(hash ^ channel.charCodeAt(at), 0x01000193);
  return crc32(payload) * 0x10_0000 + ((hash ^ (hash >>> 20)) & 0xf_ffff);
}

/**
 * Tells our own sends that come back from honest repeats: each send leaves a ticket, each arrival uses one up.
 */
export class Echoes {
  private readonly tickets = new Tickets();
  /** Unused tickets by print, counted when the first message comes from this attachment. */
  private unused: Map<number, number> | undefined;
  /** Used ones that have not left the queue; of one print the oldest are used first. */
  private readonly used = new Map<number, number>();

  sent(print: number, now: number): void {
    this.prune(now);
    this.tickets.push(print, now + TICKET_MS);
    if (this.unused !== undefined) raise(this.unused, print);
  }

  /** True when this arrival is the echo of one of our sends; it uses the ticket up. */
  isEcho(print: number, now: number): boolean {
    this.prune(now);
    this.unused ??= this.count();
    if (!this.unused.has(print)) return false;
    lower(this.unused, print);
    raise(this.used, print);
    return true;
  }

  private count(): Map<number, number> {
    const counts = new Map<number, number>();
    this.tickets.forEach((print) => {
      raise(counts, print);
    });
    return counts;
  }

  private prune(now: number): void {
    const { tickets } = this;
    while (tickets.size > 0 && (tickets.end() <= now || tickets.size >= MOST)) {
      const print = tickets.shift();
      if (this.unused !== undefined) lower(this.used.has(print) ? this.used : this.unused, print);
    }
  }
}

const FIRST_ROOM = 16;

/** Print and end of each ticket, oldest first: a ring of bare numbers, for it holds thousands for ten seconds. */
class Tickets {
  private ring = new Float64Array(2 * FIRST_ROOM);
  private first = 0;
  size = 0;

  push(print: number, end: number): void {
    if (2 * this.size === this.ring.length) this.grow();
    const at = this.placeOf(this.size);
    this.ring[at] = print;
    this.ring[at + 1] = end;
    this.size += 1;
  }

  /** Of the oldest. */
  end(): number {
    return this.ring[this.first + 1] ?? 0;
  }

  /** Takes the oldest out; returns its print. */
  shift(): number {
    const print = this.ring[this.first] ?? 0;
    this.first = this.placeOf(1);
    this.size -= 1;
    return print;
  }

  forEach(tell: (print: number) => void): void {
    for (let at = 0; at < this.size; at += 1) tell(this.ring[this.placeOf(at)] ?? 0);
  }

  private placeOf(at: number): number {
    return (this.first + 2 * at) % this.ring.length;
  }

  private grow(): void {
    const ring = new Float64Array(2 * this.ring.length);
    ring.set(this.ring.subarray(this.first));
    ring.set(this.ring.subarray(0, this.first), this.ring.length - this.first);
    this.ring = ring;
    this.first = 0;
  }
}

function raise(counts: Map<number, number>, print: number): void {
  counts.set(print, (counts.get(print) ?? 0) + 1);
}

function lower(counts: Map<number, number>, print: number): void {
  const left = (counts.get(print) ?? 0) - 1;
  if (left > 0) counts.set(print, left);
  else counts.delete(print);
}
