import type { HistoryRange } from "../../bridge.ts";
import type { Clock } from "../../clock.ts";
import { filterMatches, type Message } from "../../message.ts";
import { AgedMap } from "../aged-map.ts";
import { type HistoryRule, historyRuleFor } from "../history-rules.ts";
import type { RetainedPage } from "../store.ts";
import { SortedNames, startAfter } from "./sorted-names.ts";

/** So many comparisons of a name with a filter are made before other callbacks get their turn. */
const AT_ONCE = 4096;

/** How much history is kept, and of how many channels. */
export interface ChannelLimits {
  readonly rules: readonly HistoryRule[];
  readonly channels: number;
  readonly clock: Clock;
}

/** What is kept of one channel. */
interface Past {
  readonly messages: Message[];
  /** Heard of since it got its place among the others. */
  isHeard: boolean;
}

/** Retained values and history by channel. */
export class Channels {
  private readonly values = new Map<string, Message>();
  /** Names with a value or tombstone. */
  private readonly names = new SortedNames((name) => this.values.has(name));
  /** Cleared channels, the longest cleared first. */
  private readonly tombstones = new AgedMap<string, true>();
  private readonly past = new AgedMap<string, Past>();
  private readonly limits: ChannelLimits;

  constructor(limits: ChannelLimits) {
    this.limits = limits;
  }

  add(message: Message): void {
    if (message.retain) {
      if (!this.values.has(message.channel)) this.names.add(message.channel);
      this.values.set(message.channel, message);
      this.tombstones.delete(message.channel);
      if (message.payload.byteLength === 0) this.bury(message.channel);
    }
    if (message.qos > 0 || message.retain) this.note(message);
  }

  /** The value; neither a tombstone nor nothing. */
  latest(channel: string): Message | undefined {
    const value = this.values.get(channel);
    return value === undefined || value.payload.byteLength === 0 ? undefined : value;
  }

  /** The next values after a name. What comes or changes while it looks may or may not be among them. */
  async page(filters: readonly string[], page: RetainedPage): Promise<Message[]> {
    const found: Message[] = [];
    const literal = filters.every((filter) => !/[+#]/.test(filter));
    const names = literal ? [...new Set(filters)].sort() : this.names.all();
    let compared = 0;
    for (let at = startAfter(names, page.after); at < names.length && found.length < page.limit; at += 1) {
      if (compared >= AT_ONCE) {
        await new Promise((resolve) => setImmediate(resolve));
        compared = 0;
      }
      compared += literal ? 1 : filters.length;
      const value = this.values.get(names[at] ?? "");
      if (value === undefined) continue;
      if (value.payload.byteLength === 0 && page.tombstones !== true) continue;
      const { channel } = value;
      if (literal || filters.some((filter) => filterMatches(filter, channel))) found.push(value);
    }
    return found;
  }

  history(channel: string, range: HistoryRange): Message[] {
    const all = this.past.get(channel)?.messages ?? [];
    const { forMs } = historyRuleFor(this.limits.rules, channel) ?? { forMs: 0 };
    const since = Math.max(range.since ?? 0, this.limits.clock.now() - forMs);
    const young = all.filter((message) => message.publishedAt >= since);
    return range.last === undefined ? young : young.slice(Math.max(0, young.length - range.last));
  }

  private bury(channel: string): void {
    this.tombstones.set(channel, true);
    const oldest = this.tombstones.oldest();
    if (this.tombstones.size <= this.limits.channels || oldest === undefined) return;
    this.tombstones.delete(oldest);
    this.values.delete(oldest);
    this.names.gone();
  }

  private note(message: Message): void {
    const { rules, channels, clock } = this.limits;
    const rule = historyRuleFor(rules, message.channel);
    if (rule === undefined) return;
    const known = this.past.get(message.channel);
    const { messages } = known ?? this.begin(message.channel, channels);
    if (known !== undefined) known.isHeard = true;
    messages.push(message);
    const since = clock.now() - rule.forMs;
    while (messages.length > rule.last || (messages[0] !== undefined && messages[0].publishedAt < since))
      messages.shift();
  }

  /**
   * Room for one more channel. The first in line goes, unless it was heard of meanwhile: then it goes to the end of the
   * line. To move each channel there with each of its messages would cost more than to keep the message.
   */
  private begin(channel: string, most: number): Past {
    while (this.past.size >= most) {
      const first = this.past.oldest();
      const past = first === undefined ? undefined : this.past.get(first);
      if (first === undefined || past === undefined) break;
      this.past.delete(first);
      if (!past.isHeard) continue;
      past.isHeard = false;
      this.past.set(first, past);
    }
    const begun = { messages: [], isHeard: false };
    this.past.set(channel, begun);
    return begun;
  }
}
