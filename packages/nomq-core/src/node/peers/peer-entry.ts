import { addressText, plainEndpoint } from "../../address.ts";
import type { CancelTimer } from "../../clock.ts";
import type { PacketKey } from "../../packet/key-ring.ts";
import type { Dialect } from "../../packet/packet.ts";
import { atRest, type Pace } from "../../session/pace.ts";
import type { PeerKind } from "../../session/peer-kind.ts";
import type { Endpoint } from "../../transport.ts";
import type { KnownPeer } from "../options.ts";
import type { NomqPeer } from "./nomq-peer.ts";
import type { KeptPresence } from "./presence-change.ts";

/** One remote endpoint and all that is known of it. */
export interface PeerEntry {
  readonly id: string;
  readonly known: KnownPeer | undefined;
  address: Endpoint;
  /** Of a configured peer that was heard elsewhere and did not answer there: where it was heard. */
  elsewhere: Endpoint | undefined;
  key: PacketKey;
  dialect: Dialect;
  kind: PeerKind;
  /** Its clock less ours, seconds; undefined until heard. */
  clock: number | undefined;
  /** What it was before our wall clock stepped forward, until heard again: the machine may only have slept. */
  formerClock: number | undefined;
  sessionId: number | undefined;
  /** Monotonic milliseconds; undefined until heard in this run. */
  heardAt: number | undefined;
  /** When it was last reached for, monotonic milliseconds. */
  usedAt: number;
  /** It left a transfer unanswered since it was heard. */
  silent: boolean;
  pace: Pace;
  /** Sends that wait for their turn. */
  readonly turns: Turn[];
  turnTimer: CancelTimer | undefined;
  /** Since when the first of them has waited, monotonic milliseconds. */
  headSince: number;
  /** Transfers to it that are open. */
  open: number;
  /** What it has asked for, and when last, monotonic milliseconds. */
  subscriptions: Map<string, number>;
  /** What this node has asked it for. */
  asked: Set<string>;
  /** The id of a channel it was heard on, as {@link channelKey}. */
  heardChannel: string | undefined;
  /** Whether it is there; undefined until heard. */
  presence: KeptPresence | undefined;
  /** It has answered a heartbeat. */
  answers: boolean;
  /** Heartbeats it has not answered. */
  probes: number;
  /** When to ask it next, monotonic milliseconds; 0: when it has been silent for long enough. */
  probeAt: number;
  /** No longer in the table. */
  gone: boolean;
}

/** A send that waits for its turn. */
export interface Turn {
  /** Sends; returns for how long an answer is awaited, in milliseconds. */
  readonly run: () => number;
  /** Sends of one channel never overtake one another. */
  readonly channel: string;
  /** Among the first of each channel the highest goes first, then the oldest. */
  readonly priority: number;
}

/**
 * It did not answer at that address: the next message goes by turns where it is configured and where it was last heard. A packet that
 * somebody held back and sent on from elsewhere moves a peer, and one that only answers would never be found again.
 */
export function fellSilent(peer: PeerEntry, at: Endpoint = peer.address): void {
  const { known, address, elsewhere } = peer;
  peer.silent = true;
  if (known === undefined || at !== address) return;
  const home = plainEndpoint(known.address);
  const isHome = addressText(address) === addressText(home);
  peer.elsewhere = isHome ? undefined : address;
  peer.address = isHome ? (elsewhere ?? address) : home;
}

/** The peer as the application sees it. */
export function viewOf(entry: PeerEntry): NomqPeer {
  const { id, address, kind } = entry;
  return { id, known: entry.known !== undefined, address, key: entry.key.key.id, kind };
}

// Most peers ask for nothing and are asked for nothing: an empty set of its own would be half of what such a peer takes.
const NO_CHANNELS: Set<string> = new Set();
const NOTHING_ASKED: Map<string, number> = new Map();

/** The set with one more channel: to be put in the place of the one given. */
export function withChannel(channels: Set<string>, channel: string): Set<string> {
  return channels === NO_CHANNELS ? new Set([channel]) : channels.add(channel);
}

/** The subscriptions with one more or renewed: to be put in the place of those given. */
export function withSubscription(
  subscriptions: Map<string, number>,
  channel: string,
  now: number,
): Map<string, number> {
  return subscriptions === NOTHING_ASKED ? new Map([[channel, now]]) : subscriptions.set(channel, now);
}

/** An entry of which nothing has been heard yet. */
export function newEntry(of: Pick<PeerEntry, "id" | "known" | "key" | "address">): PeerEntry {
  return {
    id: of.id,
    known: of.known,
    address: of.address,
    elsewhere: undefined,
    key: of.key,
    dialect: of.key.key.dialect === "standard" ? "standard" : "micropython",
    kind: of.known?.kind ?? "device",
    clock: undefined,
    formerClock: undefined,
    sessionId: undefined,
    heardAt: undefined,
    usedAt: 0,
    silent: false,
    pace: atRest,
    turns: [],
    turnTimer: undefined,
    headSince: 0,
    open: 0,
    subscriptions: NOTHING_ASKED,
    asked: NO_CHANNELS,
    heardChannel: undefined,
    presence: undefined,
    answers: false,
    probes: 0,
    probeAt: 0,
    gone: false,
  };
}
