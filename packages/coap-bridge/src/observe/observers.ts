import type { Message, Port, Principal } from "@nomq/core";
import type { Whole } from "../blocks/whole.ts";
import type { Answer, Messaging, Remote } from "../messaging/messaging.ts";
import { REFRESH_SECONDS } from "../resources/parameters.ts";
import type { ObserveCounts } from "./counts.ts";

/** How a value is to be said: the same for all observers that asked alike, so that it is encoded once for them. */
export interface Wish {
  /** Content-Format asked for with Accept; absent: as it is. */
  readonly accept?: number;
  /** SZX (RFC 7959 section 2.2) of the largest block the observer takes; absent: the server's own. */
  readonly szx?: number;
}

/** One representation: of a message, or (absent) of a channel without a value. */
export interface Showing extends Wish {
  readonly channel: string;
  readonly message: Message | undefined;
  /** Order number for the Observe option; absent: none, as in an answer that registers nobody. */
  readonly observe?: number;
}

/** A representation as it goes out. An empty 2.05 for "no value" has no format. */
export interface Shown extends Answer {
  /** Its Content-Format, to compare: a relation keeps the one it began with (RFC 7641 section 4.2). */
  readonly format?: number | undefined;
  /** The response that `tail` holds the first block of, where it is larger than one. */
  readonly whole?: Whole | undefined;
}

/**
 * Encodes a representation: code, and all options with payload as one tail (Observe, Content-Format, ETag, Max-Age,
 * Block2 with the first block where it is larger than one). Any code but 2.xx: it cannot be said as wished (4.06).
 */
export type Show = (showing: Showing) => Shown;

/** A GET with Observe = 0 that may be answered: the channel is known, and the principal may subscribe to it. */
export interface Registration extends Wish {
  readonly from: Remote;
  readonly token: Uint8Array;
  readonly channel: string;
  readonly as: Principal;
  /** CON notifications (QoS 1 and 2) or NON (QoS 0). See {@link notificationWishes}. */
  readonly confirmable: boolean;
  /** Every message was asked for, one at a time, instead of the newest. Default false. */
  readonly all?: boolean;
  /** The registration's `transferKey`, under which it may fetch the other blocks of what it is told. */
  readonly transfer?: string;
  /**
   * The first answer, where it differs from what notifications say: 2.03 for an ETag that is still right. A code other
   * than 2.xx registers nobody. Default: as {@link Show}.
   */
  readonly first?: Show;
}

/** The observers of this bridge's channels (RFC 7641): relations by endpoint and token, and what they must be told. */
export interface Observers {
  /**
   * Registers and answers, once the relation lasts; a relation with the same endpoint and token is replaced. Over a
   * limit, or where the hub takes no more interest, the answer is the plain one, without Observe.
   */
  register(registration: Registration): Promise<Answer>;
  /** Observe = 1: ends the relation, if there is one. The request is then answered as a plain GET. */
  cancel(from: Remote, token: Uint8Array): void;
  /** A message of the bridge's own (PUT, POST) has been taken by the hub, which does not send it back: after its receipt. */
  changed(message: Message): void;
  /** Whether {@link changed} and {@link deleted} of the channel matter to anybody, also to one who is about to register. */
  isWatched(channel: string): boolean;
  /** DELETE has been taken: every observer of the channel gets a 4.04 without Observe, and its relation ends. */
  deleted(channel: string, seq: number): void;
  /** Whether anybody observes the channel: it is known then. */
  has(channel: string): boolean;
  /** Before the first request, with listeners open: restored relations are told what has changed meanwhile. */
  begin(messaging: Pick<Messaging, "send" | "remote">): void;
  counts(): ObserveCounts;
  /** Ends nobody's relation: they go on after the next start. Idempotent. */
  stop(): Promise<void>;
}

/** Bounds and times of observation. */
export interface ObserveLimits {
  /** Relations in all. Default 50,000. */
  readonly most: number;
  /** Relations of one endpoint. Default 256. */
  readonly perEndpoint: number;
  /** Messages that wait for one observer who asked for all. Default 64; the oldest gives way. */
  readonly queue: number;
  /** Max-Age of what does not expire, and so how often it is said again, in ms. Default 60,000. */
  readonly refreshMs: number;
  /** An observer that acknowledges nothing is asked to at least so often, in ms. Default 4 minutes: less than the message layer remembers a silent remote. */
  readonly checkMs: number;
}

export const DEFAULT_OBSERVE_LIMITS: ObserveLimits = {
  most: 50_000,
  perEndpoint: 256,
  queue: 64,
  refreshMs: REFRESH_SECONDS * 1000,
  checkMs: 240_000,
};

/** What {@link openObservers} needs. */
export interface ObserversOptions {
  readonly port: Port;
  readonly show: Show;
  /** An observer has been sent the first block of this: `ServerBlocks.begun`. */
  readonly begun?: (endpoint: string, transfer: string, whole: Whole) => void;
  readonly limits?: Partial<ObserveLimits>;
}
