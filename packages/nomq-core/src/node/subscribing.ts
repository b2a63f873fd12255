import type { CancelTimer, Clock } from "../clock.ts";
import type { PeerEntry } from "./peer-table.ts";
import type { Wire } from "./wire.ts";

/** What this node has asked other nodes for. NoMQ acknowledges no SUBSCRIBE, so it is said again and again. */
export interface Subscribing {
  add(peer: PeerEntry, channel: { name: string; id: Uint8Array }): void;
  remove(peer: PeerEntry, channel: { name: string; id: Uint8Array }): void;
  stop(): void;
}

/** Soon again in case the first was lost, then as a sign of life. */
const AGAIN_MS: readonly number[] = [1000, 5000];
const REFRESH_MS = 60_000;

/** Makes the subscriptions of one node. */
export function createSubscribing(use: { clock: Clock; wire: Wire }): Subscribing {
  const timers = new Map<string, CancelTimer>();
  const nameOf = (peer: PeerEntry, channel: { name: string }): string => `${peer.id} ${channel.name}`;
  const say = (peer: PeerEntry, channel: { name: string; id: Uint8Array }, times: number): void => {
    use.wire.name(peer, "SUBSCRIBE", channel);
    const wait = AGAIN_MS[times] ?? REFRESH_MS;
    timers.set(
      nameOf(peer, channel),
      use.clock.after(wait, () => say(peer, channel, times + 1)),
    );
  };
  return {
    add(peer, channel) {
      timers.get(nameOf(peer, channel))?.();
      say(peer, channel, 0);
    },
    remove(peer, channel) {
      const name = nameOf(peer, channel);
      timers.get(name)?.();
      timers.delete(name);
      use.wire.name(peer, "UNSUBSCRIBE", channel);
    },
    stop() {
      for (const cancel of timers.values()) cancel();
      timers.clear();
    },
  };
}
