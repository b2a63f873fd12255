import type { AbortOptions } from "../../bridge.ts";
import type { Clock } from "../../clock.ts";
import { type PeerEntry, viewOf } from "./peer-entry.ts";
import type { PeerTable } from "./peer-table.ts";
import type { KeptPresence, PresenceChange, PresenceReason } from "./presence-change.ts";

/** Who is there. */
export interface Presence {
  /** The peer has sent an authentic packet. */
  online(peer: PeerEntry, reason: "heard" | "answered"): void;
  /** The peer counts as gone. Nothing happens where it does already, or was never there and is not configured. */
  offline(peer: PeerEntry, reason: PresenceReason): void;
  /** The state of every peer now, then each change. */
  changes(options?: AbortOptions): AsyncIterable<PresenceChange>;
  /** Everybody is offline, and those who follow come to an end. */
  stop(): void;
}

interface Reader {
  /** The latest of each peer that was not read yet. */
  readonly unread: Map<PeerEntry, PresenceChange>;
  wake: () => void;
}

/** Makes the presence of one node. */
export function createPresence(use: { readonly clock: Clock; readonly peers: PeerTable }): Presence {
  const readers = new Set<Reader>();
  let stopped = false;
  const begunAt = use.clock.now();
  const tell = (peer: PeerEntry, kept: KeptPresence): void => {
    peer.presence = kept;
    if (readers.size === 0) return;
    const change = { peer: viewOf(peer), ...kept };
    for (const reader of readers) {
      reader.unread.delete(peer);
      reader.unread.set(peer, change);
      reader.wake();
    }
  };
  const stateOf = (peer: PeerEntry): KeptPresence | undefined => {
    if (peer.presence !== undefined || peer.known === undefined) return peer.presence;
    return { state: "offline", reason: "never-heard", at: begunAt };
  };
  const begin = (): Reader => {
    const reader: Reader = { unread: new Map(), wake: () => undefined };
    for (const peer of use.peers.all()) {
      const kept = stateOf(peer);
      if (kept !== undefined) reader.unread.set(peer, { peer: viewOf(peer), ...kept });
    }
    readers.add(reader);
    return reader;
  };
  async function* changes({ signal }: AbortOptions = {}): AsyncGenerator<PresenceChange, void, undefined> {
    const reader = begin();
    const wake = (): void => reader.wake();
    signal?.addEventListener("abort", wake, { once: true });
    try {
      while (signal?.aborted !== true) {
        const [next] = reader.unread;
        if (next !== undefined) {
          reader.unread.delete(next[0]);
          yield next[1];
          continue;
        }
        if (stopped) return;
        const { promise, resolve } = Promise.withResolvers<void>();
        reader.wake = resolve;
        await promise;
      }
    } finally {
      signal?.removeEventListener("abort", wake);
      readers.delete(reader);
    }
  }

  return {
    online(peer, reason) {
      if (peer.presence?.state !== "online") tell(peer, { state: "online", reason, at: use.clock.now() });
    },
    offline(peer, reason) {
      if (stateOf(peer)?.state === "online") tell(peer, { state: "offline", reason, at: use.clock.now() });
    },
    changes,
    stop() {
      if (stopped) return;
      for (const peer of use.peers.all()) this.offline(peer, "stopped");
      stopped = true;
      for (const reader of readers) reader.wake();
    },
  };
}
