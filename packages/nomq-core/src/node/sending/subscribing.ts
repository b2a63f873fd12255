import type { CancelTimer, Clock } from "../../clock.ts";
import { type PeerEntry, withChannel } from "../peers/peer-entry.ts";
import type { Wire, WireChannel } from "./wire.ts";

/** What this node has asked other nodes for. NoMQ acknowledges no SUBSCRIBE, so it is said again and again. */
export interface Subscribing {
  add(peer: PeerEntry, channel: WireChannel): void;
  remove(peer: PeerEntry, channel: WireChannel): void;
  /** Says UNSUBSCRIBE for all of it. */
  stop(): void;
}

/** Soon again in case the first was lost, then as a sign of life. */
const AGAIN_MS: readonly number[] = [1000, 5000];
const REFRESH_MS = 60_000;

/** Makes the subscriptions of one node. */
export function createSubscribing(use: { clock: Clock; wire: Wire }): Subscribing {
  const asked = new Map<string, Asked>();
  const nameOf = (peer: PeerEntry, channel: WireChannel): string => `${peer.id} ${channel.name}`;
  const say = (one: Asked, times: number): void => {
    use.wire.name(one.peer, "SUBSCRIBE", one.channel);
    one.cancel = use.clock.after(AGAIN_MS[times] ?? REFRESH_MS, () => say(one, times + 1));
  };
  const end = ({ peer, channel, cancel }: Asked): void => {
    cancel();
    use.wire.name(peer, "UNSUBSCRIBE", channel);
  };
  return {
    add(peer, channel) {
      asked.get(nameOf(peer, channel))?.cancel();
      const one: Asked = { peer, channel, cancel: () => undefined };
      asked.set(nameOf(peer, channel), one);
      peer.asked = withChannel(peer.asked, channel.name);
      say(one, 0);
    },
    remove(peer, channel) {
      const one = asked.get(nameOf(peer, channel));
      asked.delete(nameOf(peer, channel));
      peer.asked.delete(channel.name);
      end(one ?? { peer, channel, cancel: () => undefined });
    },
    stop() {
      for (const one of asked.values()) end(one);
      asked.clear();
    },
  };
}

interface Asked {
  readonly peer: PeerEntry;
  readonly channel: WireChannel;
  cancel: CancelTimer;
}
