import type { ChannelNames } from "./channel-names.ts";
import type { NomqReceiver } from "./contract.ts";
import { type PeerEntry, viewOf } from "./peer-table.ts";

/** What peers have asked this node for. */
export interface Subscriptions {
  /** A SUBSCRIBE. False when a table is full. */
  add(peer: PeerEntry, channel: string): boolean;
  /** An UNSUBSCRIBE. */
  remove(peer: PeerEntry, channel: string): void;
  /** The peer is gone: all it asked for ends. */
  end(peer: PeerEntry): void;
}

/** What subscriptions work with. */
export interface SubscriptionsUse {
  readonly names: ChannelNames;
  readonly receiver: () => NomqReceiver | undefined;
  /** Peers that may have subscriptions. They stay in the table of peers, so they may fill only a part of it. */
  readonly limit: number;
  /** A peer has ended the last of its subscriptions. */
  readonly left: (peer: PeerEntry) => void;
}

/** Of one peer. */
const MOST_CHANNELS = 1000;

/** Makes the subscriptions of one node. */
export function createSubscriptions(use: SubscriptionsUse): Subscriptions {
  let subscribers = 0;
  const drop = (peer: PeerEntry, channel: string): boolean => {
    const found = peer.subscriptions.delete(channel);
    if (found && peer.subscriptions.size === 0) subscribers -= 1;
    return found;
  };
  const hasRoom = ({ subscriptions: { size } }: PeerEntry): boolean =>
    size > 0 ? size < MOST_CHANNELS : subscribers < use.limit;

  return {
    add(peer, channel) {
      if (peer.subscriptions.has(channel)) return true;
      if (!hasRoom(peer) || !use.names.learn(channel)) return false;
      if (peer.subscriptions.size === 0) subscribers += 1;
      peer.subscriptions.add(channel);
      const taken = use.receiver()?.subscribed?.(viewOf(peer), channel) !== false;
      if (!taken) drop(peer, channel);
      return taken;
    },
    remove(peer, channel) {
      if (!drop(peer, channel)) return;
      use.receiver()?.unsubscribed?.(viewOf(peer), channel);
      if (peer.subscriptions.size === 0) use.left(peer);
    },
    end(peer) {
      for (const channel of [...peer.subscriptions]) {
        drop(peer, channel);
        use.receiver()?.unsubscribed?.(viewOf(peer), channel);
      }
    },
  };
}
