import type { ChannelNames } from "../channel-names.ts";
import type { NomqReceiver } from "../contract.ts";
import { type PeerEntry, viewOf, withSubscription } from "./peer-entry.ts";

/** What peers have asked this node for. */
export interface Subscriptions {
  /** A SUBSCRIBE. False when a table is full. */
  add(peer: PeerEntry, channel: string): boolean;
  /** An UNSUBSCRIBE. */
  remove(peer: PeerEntry, channel: string): void;
  /** The peer is gone: all it asked for ends. */
  end(peer: PeerEntry): void;
  /** What a node has not said again for 5 min has ended: its UNSUBSCRIBE was lost. */
  expire(peer: PeerEntry): void;
  /** Who gets the channel: peers that have asked for it, and known ones whose configuration says so. */
  to(channel: string): readonly PeerEntry[];
}

/** What subscriptions work with. */
export interface SubscriptionsUse {
  readonly names: ChannelNames;
  readonly monotonic: () => number;
  readonly known: Iterable<PeerEntry>;
  readonly receiver: () => NomqReceiver | undefined;
  /** Peers that may have subscriptions. They stay in the table of peers, so they may fill only a part of it. */
  readonly limit: number;
  /** A peer has ended the last of its subscriptions. */
  readonly left: (peer: PeerEntry) => void;
  /** A peer has asked for channels and may be sent what is retained of them. */
  readonly greet: (peer: PeerEntry, channels: Iterable<string>) => void;
}

/** A node says SUBSCRIBE again every minute; a device need not. */
const LIFE_MS = 300_000;
/** Of one peer. */
const MOST_CHANNELS = 1000;

/** Makes the subscriptions of one node. */
export function createSubscriptions(use: SubscriptionsUse): Subscriptions {
  let subscribers = 0;
  const configured = new PeersByChannel();
  for (const peer of use.known)
    for (const channel of peer.known?.channels ?? []) configured.add(channel, peer);
  const asking = new PeersByChannel();
  const drop = (peer: PeerEntry, channel: string): boolean => {
    if (!peer.subscriptions.delete(channel)) return false;
    if (peer.subscriptions.size === 0) subscribers -= 1;
    asking.remove(channel, peer);
    return true;
  };
  const hasRoom = ({ subscriptions: { size } }: PeerEntry): boolean =>
    size > 0 ? size < MOST_CHANNELS : subscribers < use.limit;

  const remove = (peer: PeerEntry, channel: string): boolean => {
    const isRemoved = drop(peer, channel);
    if (isRemoved) use.receiver()?.unsubscribed?.(viewOf(peer), channel);
    return isRemoved;
  };

  return {
    add(peer, channel) {
      if (peer.subscriptions.has(channel)) {
        peer.subscriptions.set(channel, use.monotonic());
        return true;
      }
      if (!hasRoom(peer) || !use.names.hear(channel)) return false;
      if (peer.subscriptions.size === 0) subscribers += 1;
      peer.subscriptions = withSubscription(peer.subscriptions, channel, use.monotonic());
      asking.add(channel, peer);
      const taken = use.receiver()?.subscribed?.(viewOf(peer), channel) !== false;
      if (taken) use.greet(peer, [channel]);
      else drop(peer, channel);
      return taken;
    },
    remove(peer, channel) {
      if (remove(peer, channel) && peer.subscriptions.size === 0) use.left(peer);
    },
    end(peer) {
      for (const channel of [...peer.subscriptions.keys()]) remove(peer, channel);
    },
    expire(peer) {
      if (peer.kind === "device") return;
      const since = use.monotonic() - LIFE_MS;
      for (const [channel, saidAt] of peer.subscriptions) if (saidAt <= since) remove(peer, channel);
    },
    to: (channel) => [...new Set([...configured.of(channel), ...asking.of(channel)])],
  };
}

/** So that a publish does not ask every peer. */
class PeersByChannel {
  readonly #peers = new Map<string, Set<PeerEntry>>();

  of(channel: string): Iterable<PeerEntry> {
    return this.#peers.get(channel) ?? [];
  }

  add(channel: string, peer: PeerEntry): void {
    this.#peers.set(channel, (this.#peers.get(channel) ?? new Set()).add(peer));
  }

  remove(channel: string, peer: PeerEntry): void {
    const peers = this.#peers.get(channel);
    peers?.delete(peer);
    if (peers?.size === 0) this.#peers.delete(channel);
  }
}
