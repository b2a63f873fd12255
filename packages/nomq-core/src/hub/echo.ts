import { crc32 } from "node:zlib";
import type { Message } from "../message.ts";
import { Fifo } from "./fifo.ts";

/** How long our own send may take to come back (docs/adr/0005-loop-prevention.md). */
const TICKET_MS = 10_000;
/** Tickets one attachment may hold; the oldest goes first. */
const MOST = 10_000;

interface Ticket {
  readonly print: number;
  readonly until: number;
}

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
  private readonly tickets = new Fifo<Ticket>();
  /** Unused tickets by print. */
  private readonly unused = new Map<number, number>();
  /** Used ones that have not left the queue; of one print the oldest are used first. */
  private readonly used = new Map<number, number>();

  sent(print: number, now: number): void {
    this.prune(now);
    this.tickets.push({ print, until: now + TICKET_MS });
    this.unused.set(print, (this.unused.get(print) ?? 0) + 1);
  }

  /** True when this arrival is the echo of one of our sends; it uses the ticket up. */
  isEcho(print: number, now: number): boolean {
    this.prune(now);
    if (!this.unused.has(print)) return false;
    lower(this.unused, print);
    this.used.set(print, (this.used.get(print) ?? 0) + 1);
    return true;
  }

  private prune(now: number): void {
    for (let oldest = this.tickets.peek(); oldest !== undefined; oldest = this.tickets.peek()) {
      if (oldest.until > now && this.tickets.size < MOST) return;
      this.tickets.shift();
      lower(this.used.has(oldest.print) ? this.used : this.unused, oldest.print);
    }
  }
}

function lower(counts: Map<number, number>, print: number): void {
  const left = (counts.get(print) ?? 0) - 1;
  if (left > 0) counts.set(print, left);
  else counts.delete(print);
}
