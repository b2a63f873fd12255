import type { FinalOutcome, PublishOptions } from "../bridge.ts";
import type { Log } from "../log.ts";
import type { Message } from "../message.ts";
import type { Access } from "../principal.ts";
import type { Channels } from "./channels.ts";
import type { Prints } from "./echo.ts";
import type { Arrival, Entry } from "./lane.ts";
import type { LatestValues } from "./latest-values.ts";
import type { Counts } from "./ledger.ts";
import type { LongNames } from "./long-names.ts";
import type { OnceKeys } from "./once.ts";
import type { OwedCause } from "./owed.ts";
import type { Place } from "./place.ts";
import type { Receipts } from "./receipts.ts";
import type { Routes } from "./routes.ts";
import type { Store, Write } from "./store.ts";
import type { Time } from "./time.ts";
import type { Turn } from "./turn.ts";
import type { Writer } from "./writer.ts";

/** Bounds of one hub. */
export interface HubLimits {
  /** Publishes that wait for the store; more are `store-busy`. Default 10,000. */
  readonly waiting: number;
  /** Their bytes. Default 64 MiB. */
  readonly waitingBytes: number;
  /** Stored messages of one attachment held in memory; the rest is read ahead from the store. Default 4,096. */
  readonly held: number;
  /** Their bytes; one message is held however large. Default 16 MiB. */
  readonly heldBytes: number;
  /** Receipts this run remembers; older ones are the store's. Default 10,000. */
  readonly receipts: number;
  /** `once` keys per attachment. Default 100,000. */
  readonly once: number;
  /** Channel names known beside the configured ones. Default 100,000. */
  readonly channels: number;
  /** Payload bytes of a message. Default 64 MiB. */
  readonly payload: number;
  /** Filters of one attachment. Default 1,000,000. */
  readonly filters: number;
}

export const DEFAULT_LIMITS: HubLimits = {
  waiting: 10_000,
  waitingBytes: 64 * 1024 * 1024,
  held: 4_096,
  heldBytes: 16 * 1024 * 1024,
  receipts: 10_000,
  once: 100_000,
  channels: 100_000,
  payload: 64 * 1024 * 1024,
  filters: 1_000_000,
};

/** Numbers and names of messages. */
export interface Numbers {
  /** The next message's `seq`. */
  next(): number;
  /** The last one given. */
  last(): number;
  idOf(seq: number): string;
  /** The number in an id of this run. */
  seqOf(id: string): number | undefined;
}

/** How a message ends at one attachment. */
export interface End {
  readonly is: FinalOutcome;
  readonly reason?: string | undefined;
  /** What the peer's bridge remembers with it. */
  readonly state?: readonly Write[] | undefined;
}

/** What outboxes, calls, owed channels and reading ahead need of one another. */
export interface Engine {
  enter(place: Place, arrival: Arrival): void;
  finish(place: Place, entry: Entry, end: End): void;
  /** Opens what may be opened. */
  pump(place: Place): void;
  /** Calls the peer at once with a message just held. */
  callNow(place: Place, entry: Entry): void;
  owe(place: Place, channel: string, cause: OwedCause): void;
  /** Lets an owed channel go out if nothing stands before it. */
  route(place: Place, channel: string): void;
  /** Owes every retained channel under the filters. */
  scan(place: Place, filters: readonly string[], cause: OwedCause): void;
  readTail(place: Place): void;
  /** Expired, forbidden or too large by now? */
  fateOf(place: Place, entry: Entry): End | undefined;
  later(place: Place, ms: number, run: () => void): void;
  mayGet(place: Place, channel: string): boolean;
}

/** What the parts of one open hub share. */
export interface Core {
  readonly store: Store;
  readonly access: Access;
  readonly log: Log;
  readonly time: Time;
  readonly turn: Turn;
  readonly writer: Writer;
  readonly routes: Routes<Place>;
  readonly places: Map<string, Place>;
  /** Names attached or being attached. */
  readonly claimed: Map<string, object>;
  /** Counts of volatile names that are not attached now; bounded. */
  readonly past: Map<string, Counts>;
  remember(name: string, counts: Counts): void;
  /** The first `seq` of this run. */
  readonly firstSeq: number;
  readonly receipts: Receipts;
  readonly once: OnceKeys;
  readonly channels: Channels;
  readonly longNames: LongNames;
  readonly changes: Changes;
  readonly latest: LatestValues;
  readonly prints: Prints;
  /** Of {@link PublishOptions.series}: one of its messages was refused. */
  readonly brokenSeries: WeakSet<object>;
  readonly numbers: Numbers;
  readonly limits: HubLimits;
  readonly engine: Engine;
  /** By how much the wall clock was set while no hub ran. */
  readonly clockSetBy: number;
  /** When the clock was written down last, monotonic. */
  clockSavedAt: number;
  /** The highest `seq` whose commit has been delivered to the outboxes. */
  appliedSeq: number;
}

/** Retained changes that wait for their commit, by channel. */
export class Changes {
  private readonly waiting = new Map<string, number>();
  private readonly parked = new Map<string, Set<Place>>();
  /** Came to rest last, and stays with 0: a map that empties with each change is made anew each time. */
  private rested: string | undefined;
  /** Rises with each retained change that lands. */
  version = 0;

  begin(channel: string): void {
    this.waiting.set(channel, (this.waiting.get(channel) ?? 0) + 1);
  }

  /** One change landed or was refused; answers who waits for the channel to rest. */
  end(channel: string): Iterable<Place> {
    this.version += 1;
    const left = Math.max(0, (this.waiting.get(channel) ?? 0) - 1);
    this.waiting.set(channel, left);
    if (left > 0) return [];
    this.rest(channel);
    const places = this.parked.get(channel);
    this.parked.delete(channel);
    return places ?? [];
  }

  has(channel: string): boolean {
    return (this.waiting.get(channel) ?? 0) > 0;
  }

  /** Channels with a change that waits. */
  *channels(): Iterable<string> {
    for (const [channel, changes] of this.waiting) if (changes > 0) yield channel;
  }

  park(channel: string, place: Place): void {
    const places = this.parked.get(channel) ?? new Set();
    this.parked.set(channel, places.add(place));
  }

  private rest(channel: string): void {
    const before = this.rested;
    this.rested = channel;
    if (before !== undefined && before !== channel && !this.has(before)) this.waiting.delete(before);
  }
}

/** The message was refused: none of its series behind it may go before it. */
export function breakSeries(core: Core, { series }: PublishOptions): void {
  if (series !== undefined) core.brokenSeries.add(series);
}

/** Whether a message of its series before it was refused. */
export function isSeriesBroken(core: Core, { series }: PublishOptions): boolean {
  return series !== undefined && core.brokenSeries.has(series);
}

/** Whether the message clears its channel's retained value. */
export function isTombstone(message: Message): boolean {
  return message.retain && message.payload.byteLength === 0;
}
