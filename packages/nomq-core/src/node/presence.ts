import type { CancelTimer, Clock } from "../clock.ts";
import type { PeerTable } from "./peer-table.ts";
import type { Subscriptions } from "./subscriptions.ts";

/** Ends the subscriptions of peers that have fallen silent: a node says SUBSCRIBE again every minute. */
export interface Presence {
  start(): void;
  stop(): void;
}

const LOOK_EVERY_MS = 60_000;
const SUBSCRIBER_SILENCE_MS = 300_000;

/** Makes the presence of one node. */
export function createPresence(use: {
  readonly clock: Clock;
  readonly peers: PeerTable;
  readonly subscriptions: Subscriptions;
}): Presence {
  let timer: CancelTimer | undefined;
  const look = (): void => {
    const now = use.clock.monotonic();
    for (const peer of use.peers.all()) {
      if (peer.subscriptions.size === 0 || now - (peer.heardAt ?? 0) < SUBSCRIBER_SILENCE_MS) continue;
      use.subscriptions.end(peer);
    }
    timer = use.clock.after(LOOK_EVERY_MS, look);
  };
  return {
    start() {
      timer = use.clock.after(LOOK_EVERY_MS, look);
    },
    stop() {
      timer?.();
    },
  };
}
