import type { Endpoint, Rejection } from "../../../src/index.ts";
import type { Prng } from "../../../src/testing/index.ts";
import { v1ChannelId } from "../../../src/testing/v1-wire.ts";
import { type Draft, type Halves, seal } from "./sealing.ts";

/** What must become of a datagram, said before it is sent. */
export interface Shot {
  readonly datagram: Uint8Array;
  readonly from: Endpoint;
  readonly expect: Rejection | "accepted";
  /** Datagrams that answer it; default none. */
  readonly answers?: number;
  /** Whether a message of it reaches the application; default not. */
  readonly handed?: boolean;
  /** QoS 1 that came before: handed over again only where a full table of transfers has let it go. */
  readonly again?: boolean;
}

/** A session that an attacker with the key, or a true peer, has open at the node. */
export interface OpenSession {
  readonly id: number;
  /** Its clock less the node's, seconds. */
  readonly offset: number;
  readonly from: Endpoint;
  /** It sets our nodes' mark. */
  readonly marked: boolean;
  /** Its highest timestamp so far. */
  newest: number;
}

/** A message that was taken, and the node's second it came in. */
export interface OpenTransfer {
  readonly session: OpenSession;
  readonly draft: Draft;
  readonly second: number;
}

/** What the makers of shots share. Everything is drawn from one seed. */
export interface Ground {
  readonly random: Prng;
  readonly key: Halves;
  readonly stranger: Halves;
  readonly sessions: readonly OpenSession[];
  /** Packets that were accepted, youngest last: what gets flipped, cut, replayed. */
  readonly seen: Uint8Array[];
  /** Messages at QoS 1 that may be sent again, oldest first. */
  readonly transfers: OpenTransfer[];
  /** Messages of nodes at QoS 2 without their PUBREL, oldest first. */
  readonly unreleased: OpenTransfer[];
  readonly ownSession: () => number;
  readonly seconds: () => number;
  readonly junk: Uint8Array;
  next: number;
}

/** Makes one kind of shot. */
export type Maker = (ground: Ground) => Shot;

export const CHANNEL = "a/b";
export const CHANNEL_ID: Uint8Array = v1ChannelId(CHANNEL);
export const MARK = 0b1000;
export const NAME_MARK = 0b1000_0000;
const MOST_SEEN = 2048;

/** A number that no packet of this run has had. */
export function fresh(ground: Ground): number {
  ground.next = (ground.next + 1) >>> 0;
  return ground.next;
}

/** One of them. */
export function pick<T>(random: Prng, from: readonly T[]): T {
  const one = from[random.between(0, from.length - 1)];
  if (one === undefined) throw new Error("nothing to pick from");
  return one;
}

/** Somebody nobody knows. */
export function anyone({ random }: Ground): Endpoint {
  return { host: `10.66.${random.between(0, 3)}.${random.between(1, 250)}`, port: random.between(1, 65_535) };
}

/** Seals with the node's key and keeps the bytes for later mutation. */
export function sealed(ground: Ground, draft: Draft): Uint8Array {
  const datagram = seal(draft, ground.key, ground.random);
  if (ground.seen.length < MOST_SEEN) ground.seen.push(datagram);
  else ground.seen[ground.random.between(0, MOST_SEEN - 1)] = datagram;
  return datagram;
}

/** Random bytes from a pool made once. */
export function junkOf({ junk, random }: Ground, length: number): Uint8Array {
  const from = random.between(0, junk.length - length - 1);
  return junk.subarray(from, from + length);
}
