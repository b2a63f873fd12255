import type { Clock, Message } from "@nomq/core";
import type { Show, Shown, Wish } from "./observers.ts";

/** A message with TTL 0 is for now or never: "now" is as long as a large fan-out takes. */
const NOW_MS = 1_000;

/** When a message is over, by the monotonic clock: a step of the wall clock moves no end. */
export function endOf(message: Message | undefined, clock: Clock): number {
  if (message?.expiresAt === undefined) return Number.POSITIVE_INFINITY;
  const isNowOrNever = message.expiresAt <= message.publishedAt;
  return clock.monotonic() + (isNowOrNever ? NOW_MS : message.expiresAt - clock.now());
}

/** What goes with a {@link Telling}. */
export interface TellingOptions {
  readonly channel: string;
  /** Absent: the channel has no value. */
  readonly message: Message | undefined;
  /** Order number. */
  readonly observe: number;
  /** Of the change it tells. */
  readonly seq: number;
  /** A message to be accounted for, not a refresh. */
  readonly counts: boolean;
  /** What a GET answers; undefined: an event, which GET never shows. The `seq` of the value, 0 for none. */
  readonly told: number | undefined;
  /** {@link endOf} the message. */
  readonly endsAt: number;
}

/** One thing that all observers of a channel are told: encoded once for each way they asked for it. */
export class Telling {
  readonly channel: string;
  readonly message: Message | undefined;
  readonly observe: number;
  readonly seq: number;
  readonly counts: boolean;
  readonly told: number | undefined;
  readonly endsAt: number;
  // Nearly all observers of a channel ask alike: one place beside the map saves them the look-up.
  private wish: Wish | undefined;
  private shown: Shown | undefined;
  private second = 0;
  private others: Map<Wish, { shown: Shown; second: number }> | undefined;

  constructor({ channel, message, observe, seq, counts, told, endsAt }: TellingOptions) {
    this.channel = channel;
    this.message = message;
    this.observe = observe;
    this.seq = seq;
    this.counts = counts;
    this.told = told;
    this.endsAt = endsAt;
  }

  /** As it is said for this wish at this time: Max-Age goes down with the time to live. */
  shownFor(wish: Wish, show: Show, now: number): Shown {
    const second = this.message?.expiresAt === undefined ? 0 : Math.floor(now / 1_000);
    if (this.wish === wish && this.second === second && this.shown !== undefined) return this.shown;
    const known = this.others?.get(wish);
    if (known !== undefined && known.second === second) return known.shown;
    const { channel, message, observe } = this;
    const shown = show({ ...wish, channel, message, observe });
    if (this.wish === undefined || this.wish === wish) {
      this.wish = wish;
      this.shown = shown;
      this.second = second;
    } else {
      this.others ??= new Map();
      this.others.set(wish, { shown, second });
    }
    return shown;
  }
}
