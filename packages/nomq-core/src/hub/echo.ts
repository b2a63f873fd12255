import { crc32 } from "node:zlib";
import type { Message } from "../message.ts";

/** How long our own send may take to come back (design.md §4.9). */
const TICKET_MS = 10_000;
/** Tickets one attachment may hold; the oldest goes first. */
const MOST = 10_000;

interface Ticket {
  readonly key: string;
  readonly until: number;
  used: boolean;
}

/**
 * Tells our own sends that come back from honest repeats: each send leaves a ticket, each arrival uses one up.
 */
export class Echoes {
  private readonly byKey = new Map<string, Ticket[]>();
  private queue: Ticket[] = [];
  private first = 0;

  sent(message: Message, now: number): void {
    this.prune(now);
    const ticket: Ticket = {
      key: keyOf(message.channel, message.payload),
      until: now + TICKET_MS,
      used: false,
    };
    this.queue.push(ticket);
    const same = this.byKey.get(ticket.key);
    if (same === undefined) this.byKey.set(ticket.key, [ticket]);
    else same.push(ticket);
  }

  /** True when this arrival is the echo of one of our sends; it uses the ticket up. */
  isEcho(channel: string, payload: Uint8Array, now: number): boolean {
    if (this.byKey.size === 0) return false;
    this.prune(now);
    const key = keyOf(channel, payload);
    const ticket = this.byKey.get(key)?.[0];
    if (ticket === undefined) return false;
    this.use(ticket);
    return true;
  }

  private use(ticket: Ticket): void {
    ticket.used = true;
    const same = this.byKey.get(ticket.key);
    if (same === undefined || same.length <= 1) this.byKey.delete(ticket.key);
    else same.shift();
  }

  private prune(now: number): void {
    for (;;) {
      const oldest = this.queue[this.first];
      if (oldest === undefined) break;
      if (!oldest.used && oldest.until > now && this.queue.length - this.first < MOST) break;
      if (!oldest.used) this.use(oldest);
      this.first += 1;
    }
    if (this.first < 1_024 || this.first * 2 < this.queue.length) return;
    this.queue = this.queue.slice(this.first);
    this.first = 0;
  }
}

// Not a defence: a peer that forges a collision hides only its own message.
function keyOf(channel: string, payload: Uint8Array): string {
  return `${crc32(payload)} ${payload.byteLength} ${channel}`;
}
