import { AgedMap, type HistoryRule, historyRuleFor } from "@nomq/core";

/** One message of a channel's history: its number, and when it was published in Unix milliseconds. */
export interface Past {
  readonly seq: number;
  readonly at: number;
}

/** A message that its channel's history keeps no longer. */
export interface Gone {
  readonly channel: string;
  readonly seq: number;
}

/** How much history a store keeps. */
export interface HistoryLimits {
  /** The first rule whose filter matches a channel counts. */
  readonly rules: readonly HistoryRule[];
  /** Channels with history; the one heard of longest ago loses its own first. */
  readonly channels: number;
  /** Messages of all channels together. */
  readonly messages: number;
}

/** A channel that no rule keeps any more. */
const NOTHING = { last: 0, forMs: 0 } as const;

interface Channel {
  readonly keeps: { readonly last: number; readonly forMs: number };
  /** Numbers and times in turn, the oldest first, from `head` on. */
  entries: number[];
  head: number;
}

/** Which messages each channel's history holds; the channel heard of last stands last. */
export class HistoryIndex {
  private byChannel = new AgedMap<string, Channel>();
  private isLoaded = false;
  private count = 0;
  private readonly limits: HistoryLimits;

  constructor(limits: HistoryLimits) {
    this.limits = limits;
  }

  /** Whether a message of this channel is kept at all. */
  keeps(channel: string): boolean {
    return (this.byChannel.get(channel) ?? this.empty(channel)).keeps.last > 0;
  }

  /** Notes a message; answers what must go, which is nothing before the old entries are known. */
  add(channel: string, { seq, at }: Past, now: number): Gone[] {
    const known = this.byChannel.get(channel) ?? this.empty(channel);
    this.byChannel.delete(channel);
    known.entries.push(seq, at);
    this.count += 1;
    this.byChannel.set(channel, known);
    if (!this.isLoaded) return [];
    const gone: Gone[] = [];
    this.overdue({ channel, known, now, most: Number.POSITIVE_INFINITY }, gone);
    this.bound(gone);
    return gone;
  }

  /** At most so many messages that are too old by now, or too many for a rule that has changed. */
  expired(now: number, most: number): Gone[] {
    const gone: Gone[] = [];
    if (!this.isLoaded) return gone;
    for (const channel of this.byChannel.keys()) {
      const known = this.byChannel.get(channel);
      if (known !== undefined) this.overdue({ channel, known, now, most }, gone);
      if (gone.length >= most) break;
    }
    return gone;
  }

  /** Takes the entries of earlier runs, each channel's in ascending order. */
  load(old: ReadonlyMap<string, readonly Past[]>): void {
    const fresh = this.byChannel;
    this.byChannel = new AgedMap();
    this.count = 0;
    const before = [...old].sort(([, one], [, other]) => (one.at(-1)?.seq ?? 0) - (other.at(-1)?.seq ?? 0));
    for (const [channel, past] of before) if (!fresh.has(channel)) this.put(channel, past, []);
    for (const channel of fresh.keys())
      this.put(channel, old.get(channel) ?? [], fresh.get(channel)?.entries ?? []);
    this.isLoaded = true;
  }

  private put(channel: string, past: readonly Past[], entries: readonly number[]): void {
    const known = this.empty(channel);
    for (const { seq, at } of past) known.entries.push(seq, at);
    known.entries = known.entries.concat(entries);
    this.count += sizeOf(known);
    this.byChannel.set(channel, known);
  }

  private empty(channel: string): Channel {
    return { keeps: historyRuleFor(this.limits.rules, channel) ?? NOTHING, entries: [], head: 0 };
  }

  private overdue(
    of: {
      readonly channel: string;
      readonly known: Channel;
      readonly now: number;
      readonly most: number;
    },
    gone: Gone[],
  ): void {
    const { channel, known, now, most } = of;
    const { last, forMs } = known.keeps;
    while (gone.length < most && sizeOf(known) > 0) {
      const at = known.entries[known.head + 1] ?? 0;
      if (sizeOf(known) <= last && at >= now - forMs) return;
      gone.push({ channel, seq: this.shift(channel, known) });
    }
  }

  /** Lets the channels heard of longest ago go. */
  private bound(gone: Gone[]): void {
    const { channels, messages } = this.limits;
    while (this.byChannel.size > channels || this.count > messages) {
      const channel = this.byChannel.oldest() ?? "";
      const known = this.byChannel.get(channel);
      if (known === undefined) return;
      const isWhole = this.byChannel.size > channels;
      do gone.push({ channel, seq: this.shift(channel, known) });
      while (isWhole && sizeOf(known) > 0);
    }
  }

  private shift(channel: string, known: Channel): number {
    const seq = known.entries[known.head] ?? 0;
    known.head += 2;
    this.count -= 1;
    if (sizeOf(known) === 0) this.byChannel.delete(channel);
    else if (known.head * 2 >= known.entries.length) {
      known.entries = known.entries.slice(known.head);
      known.head = 0;
    }
    return seq;
  }
}

const sizeOf = ({ entries, head }: Channel): number => (entries.length - head) / 2;
