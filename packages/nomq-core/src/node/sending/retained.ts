import type { Clock } from "../../clock.ts";
import type { Qos } from "../../message.ts";

/** A message that is kept. */
export interface RetainedMessage {
  readonly payload: Uint8Array;
  readonly qos: Qos;
  readonly priority: number;
  /** Monotonic milliseconds; undefined: it does not expire. */
  readonly deadline: number | undefined;
}

/** The retained messages of a node on its own: the last few of each channel, as the original keeps them. */
export interface Retained {
  /** An empty payload clears the channel. False when there is no room for another channel. */
  keep(channel: string, message: RetainedMessage): boolean;
  /** What has not expired, oldest first. */
  of(channel: string): readonly RetainedMessage[];
}

/** Makes a store of `each` messages for each of `channels` channels. */
export function createRetained(use: { clock: Clock; each: number; channels: number }): Retained {
  const kept = new Map<string, RetainedMessage[]>();
  const of = (channel: string): readonly RetainedMessage[] => {
    const now = use.clock.monotonic();
    const found = kept.get(channel) ?? [];
    const live = found.filter(({ deadline }) => deadline === undefined || deadline > now);
    if (live.length === 0) kept.delete(channel);
    else if (live.length < found.length) kept.set(channel, live);
    return live;
  };
  const hasRoom = (channel: string): boolean => {
    if (kept.has(channel) || kept.size < use.channels) return true;
    for (const each of [...kept.keys()]) of(each);
    return kept.size < use.channels;
  };
  return {
    keep(channel, message) {
      if (use.each === 0) return true;
      if (message.payload.length === 0) {
        kept.delete(channel);
        return true;
      }
      if (!hasRoom(channel)) return false;
      // A copy: the caller's bytes may change.
      const own = { ...message, payload: message.payload.slice() };
      kept.set(channel, [...of(channel), own].slice(-use.each));
      return true;
    },
    of,
  };
}
