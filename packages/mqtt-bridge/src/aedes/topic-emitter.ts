import type { Log } from "@nomq/core";
import { createTopicTrie } from "./topic-trie.ts";

/** What aedes' emitter carries; only the topic matters here. */
export interface Emitted {
  readonly topic: string;
}

/** A subscriber inside aedes. */
export type Handler = (packet: Emitted, done: () => void) => void;
type Done = (error?: Error | null) => void;

/**
 * The emitter handed to aedes in place of its own, which ends an `emit` only when every handler has called back,
 * so that one that does not stops all topics. Here nobody waits for a handler.
 */
export interface TopicEmitter {
  readonly current: number;
  readonly concurrency: number;
  readonly length: number;
  readonly closed: boolean;
  on(filter: string, handler: Handler, done?: Done): TopicEmitter;
  removeListener(filter: string, handler: Handler, done?: Done): TopicEmitter;
  emit(packet: Emitted, done?: Done): TopicEmitter;
  close(done: Done): TopicEmitter;
  /** The QoS a handler delivers at: of those that match, the highest comes first (MQTT 5.0 section 3.3.4). */
  rank(handler: Handler, qos: number): void;
  /** How many handlers the last `emit` found. */
  reached(): number;
}

/** Makes an emitter; `log` hears of handlers that throw. */
export function createTopicEmitter(log: Log): TopicEmitter {
  const trie = createTopicTrie<Handler>();
  const ranks = new WeakMap<Handler, number>();
  const nothing = (): void => undefined;
  let closed = false;
  let reached = 0;

  const emitter: TopicEmitter = {
    current: 0,
    concurrency: 0,
    length: 0,
    get closed() {
      return closed;
    },
    on(filter, handler, done) {
      trie.add(filter, handler);
      done?.();
      return emitter;
    },
    removeListener(filter, handler, done) {
      trie.remove(filter, handler);
      done?.();
      return emitter;
    },
    emit(packet, done) {
      const handlers = trie.match(packet.topic);
      reached = handlers.length;
      if (handlers.length > 1) handlers.sort((a, b) => (ranks.get(b) ?? 0) - (ranks.get(a) ?? 0));
      for (const handler of handlers) {
        try {
          handler(packet, nothing);
        } catch (error) {
          log.error("a subscriber failed", { error: String(error) });
        }
      }
      done?.(null);
      return emitter;
    },
    close(done) {
      closed = true;
      setImmediate(done);
      return emitter;
    },
    rank: (handler, qos) => void ranks.set(handler, qos),
    reached: () => reached,
  };
  return emitter;
}
