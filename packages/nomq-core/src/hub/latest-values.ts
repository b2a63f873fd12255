import type { Message } from "../message.ts";
import { AgedMap } from "./aged-map.ts";

/** A channel's retained value in memory: `none` is known to have none; a number is a reading of the store under way. */
type Known = Message | "none" | number;

const MOST = 10_000;
const MOST_BYTES = 16 * 1024 * 1024;
/** What would take the room of many is the store's alone. */
const LARGEST_BYTES = 64 * 1024;

/**
 * Retained values that were asked for and have not changed since, so that asking again costs no promise. It is told of
 * each change as it lands; when there are too many, the longest known go first.
 */
export class LatestValues {
  private readonly known = new AgedMap<string, Known>();
  private bytes = 0;
  private readings = 0;

  /** As the store has it: a tombstone or an expired one is the asker's to see. Undefined: it must be asked. */
  get(channel: string): Message | "none" | undefined {
    const known = this.known.get(channel);
    return typeof known === "number" ? undefined : known;
  }

  /** The store is about to be asked: what lands from now on is newer than its answer. Undefined: nothing is kept of it. */
  reading(channel: string): number | undefined {
    if (this.known.has(channel)) return undefined;
    this.readings += 1;
    this.put(channel, this.readings);
    return this.readings;
  }

  /** The store has answered that reading. */
  learned(channel: string, reading: number | undefined, value: Message | undefined): void {
    if (reading !== undefined && this.known.get(channel) === reading) this.put(channel, value ?? "none");
  }

  /** The store has not answered that reading. */
  failed(channel: string, reading: number | undefined): void {
    if (reading !== undefined && this.known.get(channel) === reading) this.drop(channel);
  }

  /** A retained change has landed. */
  landed(message: Message): void {
    if (this.known.has(message.channel)) this.put(message.channel, message);
  }

  private put(channel: string, known: Known): void {
    const bytes = bytesOf(channel, known);
    if (bytes > LARGEST_BYTES) {
      this.drop(channel);
      return;
    }
    this.bytes += bytes - bytesOf(channel, this.known.get(channel));
    this.known.set(channel, known);
    while (this.known.size > MOST || this.bytes > MOST_BYTES) {
      const oldest = this.known.oldest();
      if (oldest === undefined) return;
      this.drop(oldest);
    }
  }

  private drop(channel: string): void {
    this.bytes -= bytesOf(channel, this.known.get(channel));
    this.known.delete(channel);
  }
}

/** Two bytes for each letter of the name at most, and the payload. */
function bytesOf(channel: string, known: Known | undefined): number {
  if (known === undefined) return 0;
  return channel.length * 2 + (typeof known === "object" ? known.payload.byteLength : 0);
}
