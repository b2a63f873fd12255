import type { CancelTimer, Clock } from "../../clock.ts";
import { UNHEARD_OFFSETS } from "../../session/clock-offset.ts";
import { FIRST_WAIT_MS } from "../../session/sender.ts";
import type { ChannelNames } from "../channel-names.ts";
import { fellSilent, type PeerEntry } from "../peers/peer-entry.ts";
import type { PeerTable } from "../peers/peer-table.ts";
import type { Presence } from "../peers/presence.ts";
import type { Subscriptions } from "../peers/subscriptions.ts";
import type { NodeTime } from "../time.ts";
import type { Turns } from "./turns.ts";
import type { Wire } from "./wire.ts";

/** Asks peers that have fallen silent whether they are there, and tells who is not. */
export interface Probing {
  start(): void;
  stop(): void;
  /** A packet of the peer has come. */
  heard(peer: PeerEntry): void;
  /** A transfer has ended without a sign of its peer. */
  unanswered(peer: PeerEntry, how: "perhaps" | "surely"): void;
  /** One heartbeat; whether anything came within 5 s. Undefined where no channel of the peer is known. */
  probe(peer: PeerEntry): Promise<boolean> | undefined;
}

/** What probing works with. */
export interface ProbingUse {
  readonly clock: Clock;
  readonly time: NodeTime;
  readonly wire: Wire;
  readonly turns: Turns;
  readonly peers: PeerTable;
  readonly names: ChannelNames;
  readonly subscriptions: Subscriptions;
  readonly presence: Presence;
  /** Milliseconds of silence before a peer is asked; 0 asks nobody. */
  readonly every: number;
  /** Milliseconds of silence after which a peer is gone, asked or not. */
  readonly timeout: number;
}

/** An answer takes a device 0.3 s; each heartbeat gets this long. */
const ANSWER_MS = 5000;
/** Heartbeats without an answer before a peer is gone: one lost datagram is not silence. */
const ROUND = 3;
/** A peer that is asked is silent after so long without a packet beyond the interval, milliseconds. */
export const PROBE_GRACE_MS: number = ROUND * ANSWER_MS;
/** Between two looks at all peers. */
const LOOK_MS = 500;
const MOST_AT_ONCE = 100;

/** Makes the probing of one node. */
export function createProbing(use: ProbingUse): Probing {
  return new NodeProbing(use);
}

class NodeProbing implements Probing {
  readonly #use: ProbingUse;
  readonly #waiters = new Map<PeerEntry, Set<(isThere: boolean) => void>>();
  #timer: CancelTimer | undefined;
  #startedAt = 0;
  #nextAt = 0;
  #isStopped = false;

  constructor(use: ProbingUse) {
    this.#use = use;
  }

  start(): void {
    this.#startedAt = this.#use.clock.monotonic();
    this.#lookAt(this.#startedAt + this.#longest());
  }

  stop(): void {
    this.#isStopped = true;
    this.#timer?.();
    for (const waiting of this.#waiters.values()) for (const resolve of waiting) resolve(false);
    this.#waiters.clear();
  }

  heard(peer: PeerEntry): void {
    peer.probeAt = 0;
    if (peer.probes > 0) {
      peer.probes = 0;
      this.#use.turns.answered(peer);
    }
    if (this.#waiters.size === 0) return;
    for (const resolve of this.#waiters.get(peer) ?? []) resolve(true);
    this.#waiters.delete(peer);
  }

  unanswered(peer: PeerEntry, how: "perhaps" | "surely"): void {
    if (how === "surely") {
      this.#use.presence.offline(peer, "silent");
    } else if (this.#use.every > 0 && peer.probes === 0) {
      peer.probeAt = this.#use.clock.monotonic();
      this.#lookAt(peer.probeAt + LOOK_MS);
    }
  }

  probe(peer: PeerEntry): Promise<boolean> | undefined {
    if (this.#channelOf(peer) === undefined) return undefined;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const waiting = this.#waiters.get(peer) ?? new Set();
    this.#waiters.set(peer, waiting.add(resolve));
    const cancel = this.#use.clock.after(ANSWER_MS, () => {
      waiting.delete(resolve);
      if (waiting.size === 0) this.#waiters.delete(peer);
      resolve(false);
    });
    for (const at of this.#clocksOf(peer).keys()) this.#send(peer, at);
    return promise.finally(cancel);
  }

  /** Without anybody to ask or to miss, the next look. */
  #longest(): number {
    return Math.max(LOOK_MS, this.#use.every > 0 ? Math.min(this.#use.every, 60_000) : 60_000);
  }

  #lookAt(at: number): void {
    const now = this.#use.clock.monotonic();
    const next = Math.max(at, now + LOOK_MS);
    // A look that is due sooner finds what this one is for.
    if (this.#isStopped || (this.#nextAt > now && this.#nextAt <= next)) return;
    this.#timer?.();
    this.#nextAt = next;
    this.#timer = this.#use.clock.after(next - now, () => this.#look());
  }

  #look(): void {
    const now = this.#use.clock.monotonic();
    this.#nextAt = 0;
    let next = now + this.#longest();
    let left = MOST_AT_ONCE;
    for (const peer of this.#use.peers.all()) {
      this.#expire(peer, now);
      const due = this.#dueAt(peer);
      if (due === undefined) continue;
      if (due > now) next = Math.min(next, due);
      else if (left > 0) {
        left -= 1;
        next = Math.min(next, this.#ask(peer, now));
      } else next = now;
    }
    this.#lookAt(next);
  }

  /** The session's end: who cannot be asked is gone without it. */
  #expire(peer: PeerEntry, now: number): void {
    const { timeout, presence, subscriptions } = this.#use;
    if (peer.subscriptions.size > 0) subscriptions.expire(peer);
    if (now - Math.max(peer.heardAt ?? 0, this.#startedAt) < timeout) return;
    if (peer.subscriptions.size > 0) subscriptions.end(peer);
    presence.offline(peer, "silent");
  }

  /** When to ask the peer; undefined where there is nothing to ask, or its messages ask already. */
  #dueAt(peer: PeerEntry): number | undefined {
    const { every } = this.#use;
    if (every === 0 || peer.open > 0 || peer.turns.length > 0) return undefined;
    if (peer.known === undefined && peer.subscriptions.size === 0 && peer.asked.size === 0) return undefined;
    if (this.#nameOf(peer) === undefined && peer.heardChannel === undefined) return undefined;
    return peer.probeAt > 0 ? peer.probeAt : Math.max(peer.heardAt ?? 0, this.#startedAt) + every;
  }

  /** Asks once more, or gives up; returns when to look again. */
  #ask(peer: PeerEntry, now: number): number {
    if (peer.probes >= roundOf(peer)) {
      peer.probes = 0;
      peer.probeAt = now + this.#use.every;
      // One that only publishes answers for no channel: it is gone when the session ends.
      if (this.#nameOf(peer) === undefined && !peer.answers) return peer.probeAt;
      fellSilent(peer);
      this.#use.presence.offline(peer, "silent");
      return peer.probeAt;
    }
    this.#send(peer, peer.probes);
    peer.probes += 1;
    peer.probeAt = now + ANSWER_MS;
    return peer.probeAt;
  }

  /** Stamped for the peer's clock or, by turns, for each that it may have. */
  #send(peer: PeerEntry, at: number): void {
    const channelId = this.#channelOf(peer);
    if (channelId === undefined) return;
    const run = (): number => {
      const clocks = this.#clocksOf(peer);
      this.#use.wire.probe(peer, channelId, clocks[at % clocks.length] ?? 0);
      return FIRST_WAIT_MS;
    };
    this.#use.turns.take(peer, { run, channel: "", priority: 0 });
  }

  #clocksOf(peer: PeerEntry): readonly number[] {
    // A step of our clock found in reading it changes the peer's.
    this.#use.time.seconds();
    const { clock, formerClock, kind } = peer;
    if (clock === undefined) return kind === "node" ? [0] : UNHEARD_OFFSETS;
    return formerClock === undefined ? [clock] : [clock, formerClock];
  }

  /** A channel that the peer subscribes to: nothing else is answered. */
  #nameOf(peer: PeerEntry): string | undefined {
    const [configured] = peer.known?.channels ?? [];
    const [subscribed] = peer.subscriptions.keys();
    const [asked] = peer.asked;
    return peer.kind === "device" ? (configured ?? subscribed ?? asked) : (subscribed ?? asked ?? configured);
  }

  /** Where none is known, one that the peer was heard on. */
  #channelOf(peer: PeerEntry): Uint8Array | undefined {
    const name = this.#nameOf(peer);
    if (name !== undefined) return this.#use.names.idOf(name);
    return peer.heardChannel === undefined ? undefined : Buffer.from(peer.heardChannel, "hex");
  }
}

/** One that is away is asked once an interval, one that was never heard in each epoch. */
function roundOf(peer: PeerEntry): number {
  if (peer.clock === undefined && peer.kind === "device") return UNHEARD_OFFSETS.length;
  return peer.presence?.state === "offline" ? 1 : ROUND;
}
