import { addressText, plainEndpoint } from "../../address.ts";
import type { KeyRing, PacketKey } from "../../packet/key-ring.ts";
import { CLOCK_TOLERANCE } from "../../session/clock-offset.ts";
import type { ReplayWindow } from "../../session/replay-window.ts";
import type { SessionName } from "../../session/window-records.ts";
import type { Endpoint } from "../../transport.ts";
import type { KnownPeer } from "../options.ts";
import { newEntry, type PeerEntry } from "./peer-entry.ts";

/** Peers by address and, for those that configuration names, by name. */
export interface PeerTable {
  /** The peer a packet is from; makes an entry for a new address, none when the table is full. */
  heardFrom(from: Endpoint, key: PacketKey, window: ReplayWindow | undefined): PeerEntry | undefined;
  /** The peer of a name or address, if there is one. */
  find(of: string | Endpoint): PeerEntry | undefined;
  /** As `find`, but makes an entry for a new address, none when the table is full. */
  reach(to: string | Endpoint): PeerEntry | undefined;
  /** What restored windows tell of known peers. */
  recall(sessions: Iterable<{ readonly session: SessionName; readonly window: ReplayWindow }>): void;
  /** After a step of our wall clock by `seconds`. */
  rebase(seconds: number): void;
  all(): Iterable<PeerEntry>;
  readonly size: number;
}

/** Without a packet, an open transfer, a waiting send or a subscription for so long, a peer gives up its place. */
const IDLE_MS = 3_600_000;
/** A full table is not searched for idle ones more often. */
const SEARCH_EVERY_MS = 1000;

/**
 * Makes a table of the known peers and at most `limit` others. When it is full, those idle for an hour give way; if
 * there are none, no new address gets in.
 */
export function createPeerTable(use: {
  ring: KeyRing;
  known: readonly KnownPeer[];
  limit: number;
  monotonic: () => number;
  /** An entry has given way. */
  replaced?: (entry: PeerEntry) => void;
}): PeerTable {
  const named = new Map<string, PeerEntry>();
  const namedAt = new Map<string, PeerEntry>();
  const others = new Map<string, PeerEntry>();
  // Most packets come from where the last of their session came from.
  const lastOf = new WeakMap<ReplayWindow, PeerEntry>();
  for (const known of use.known) {
    const key = (known.key === undefined ? undefined : use.ring.get(known.key)) ?? use.ring.keys[0];
    if (key === undefined) continue;
    const address = plainEndpoint(known.address);
    const entry = newEntry({ id: known.name, known, key, address });
    named.set(known.name, entry);
    namedAt.set(addressText(address), entry);
  }

  let searchAt = 0;
  const reclaim = (now: number): void => {
    if (now < searchAt) return;
    searchAt = now + SEARCH_EVERY_MS;
    for (const [address, entry] of others) {
      const { open, turns, subscriptions, asked, heardAt, usedAt } = entry;
      if (open > 0 || turns.length > 0 || subscriptions.size + asked.size > 0) continue;
      if (now - Math.max(heardAt ?? 0, usedAt) < IDLE_MS) continue;
      others.delete(address);
      entry.gone = true;
      use.replaced?.(entry);
    }
  };
  const other = (address: Endpoint, key: PacketKey): PeerEntry | undefined => {
    const text = addressText(address);
    const now = use.monotonic();
    const found = others.get(text);
    if (found !== undefined) {
      found.usedAt = now;
      return found;
    }
    if (others.size >= use.limit) reclaim(now);
    if (others.size >= use.limit) return undefined;
    const entry = newEntry({ id: text, known: undefined, key, address });
    entry.usedAt = now;
    others.set(text, entry);
    return entry;
  };
  function* all(): Generator<PeerEntry> {
    yield* named.values();
    yield* others.values();
  }
  const find = (of: string | Endpoint): PeerEntry | undefined => {
    if (typeof of === "string") return named.get(of) ?? others.get(of);
    const text = addressText(plainEndpoint(of));
    return namedAt.get(text) ?? others.get(text);
  };

  return {
    heardFrom(from, key, window) {
      const last = window === undefined ? undefined : lastOf.get(window);
      if (last !== undefined && !last.gone && isSame(last, from, key)) return last;
      const configured = namedAt.get(addressText(from));
      if (configured !== undefined && configured.key === key) return configured;
      const bound = window?.peer === undefined ? undefined : named.get(window.peer);
      const entry = bound !== undefined && bound.key === key ? bound : other(from, key);
      if (window !== undefined && entry !== undefined) lastOf.set(window, entry);
      return entry;
    },
    find,
    reach(to) {
      const [key] = use.ring.keys;
      return (
        find(to) ?? (typeof to === "string" || key === undefined ? undefined : other(plainEndpoint(to), key))
      );
    },
    recall(sessions) {
      for (const { session, window } of sessions) {
        const entry = window.peer === undefined ? undefined : named.get(window.peer);
        if (entry === undefined || entry.key.key.id !== session.keyId) continue;
        entry.clock = window.clock;
        entry.sessionId = session.sessionId;
        if (window.marked) entry.kind = "node";
      }
    },
    rebase(seconds) {
      for (const peer of all()) {
        if (peer.clock === undefined) continue;
        if (seconds > CLOCK_TOLERANCE) peer.formerClock = peer.clock;
        else if (peer.formerClock !== undefined) peer.formerClock -= seconds;
        peer.clock -= seconds;
      }
    },
    all,
    get size() {
      return others.size;
    },
  };
}

function isSame({ address, key }: PeerEntry, from: Endpoint, by: PacketKey): boolean {
  return key === by && address.port === from.port && address.host === from.host;
}
