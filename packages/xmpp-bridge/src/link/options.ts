import type { Clock, Log } from "@nomq/core";
import type { StreamTimes } from "../stream/session.ts";
import type { TlsSettings } from "../stream/tls-policy.ts";

/** What a link needs. */
export interface LinkOptions {
  /**
   * `xmpp://HOST:PORT` (STARTTLS), `xmpps://HOST:PORT`, `ws://HOST:PORT/PATH` or `wss://HOST:PORT/PATH`. Default
   * `xmpp://DOMAIN:5222`.
   */
  readonly service?: string;
  /** The domain of the account. */
  readonly domain: string;
  readonly username: string;
  readonly password: string;
  /** Stable over restarts and of this gateway only: another with the same ends this one's stream (`conflict`). */
  readonly resource: string;
  readonly tls?: TlsSettings;
  /** Requests sent and not answered. Default 32. */
  readonly window?: number;
  /** Requests that wait; more are answered with `resource-constraint`. Default 10,000. */
  readonly maxWaiting?: number;
  /** The largest stanza that is sent, bytes. Default 250,000: from 262,144 on servers end the stream. */
  readonly maxSent?: number;
  /** The largest stanza that is taken, characters. Default 16 Mi: an answer may hold many items. */
  readonly maxReceived?: number;
  readonly times?: Partial<LinkTimes>;
  readonly clock: Clock;
  readonly log?: Log;
  /** From 0 to below 1: spreads attempts. Default Math.random. */
  readonly random?: () => number;
}

/** Times in milliseconds. */
export interface LinkTimes extends StreamTimes {
  /** Before the second attempt; doubles with each that fails. Default 250. */
  readonly firstDelayMs: number;
  /** Default 15,000. */
  readonly longestDelayMs: number;
  /** After what only an operator can mend. Default 60,000. */
  readonly fatalDelayMs: number;
  /** A session that lived so long begins the delays anew. Default 5,000. */
  readonly stableMs: number;
}

/** Used where nothing else is said. */
export const LINK_TIMES: LinkTimes = {
  answerMs: 10_000,
  askAfterMs: 5_000,
  deadAfterMs: 10_000,
  stanzaMs: 120_000,
  farewellMs: 1_000,
  firstDelayMs: 250,
  longestDelayMs: 15_000,
  fatalDelayMs: 60_000,
  stableMs: 5_000,
};
