import type { CancelTimer, Clock } from "@nomq/core";

/** What is held for one half-done transfer. */
interface Entry<Value> {
  readonly endpoint: string;
  readonly value: Value;
  /** Monotonic ms of the last touch. */
  seenAt: number;
}

/** How {@link createHeld} bounds what it holds. */
export interface HeldOptions<Value> {
  readonly clock: Clock;
  /** Let go after so many ms without a touch. */
  readonly idleMs: number;
  /** Told of each value that is let go for being idle. */
  readonly idle: (value: Value) => void;
}

/**
 * Values under keys, each belonging to an endpoint, that are let go when nobody touches them. Every call costs the same
 * however many there are; at most one timer runs, and none while nothing is held.
 */
export interface Held<Value> extends Disposable {
  /** The value, which is no longer idle then. */
  touch(key: string): Value | undefined;
  /** Puts a value that is not there yet. */
  add(endpoint: string, key: string, value: Value): void;
  remove(key: string): Value | undefined;
  /** The value idle for longest: of one endpoint, or of all. */
  oldest(endpoint?: string): { readonly key: string; readonly value: Value } | undefined;
  /** How many are held: of one endpoint, or of all. */
  count(endpoint?: string): number;
}

/** Makes an empty {@link Held}. */
export function createHeld<Value>({ clock, idleMs, idle }: HeldOptions<Value>): Held<Value> {
  // Maps keep the order of insertion: the first key is the one idle for longest.
  const all = new Map<string, Entry<Value>>();
  const byEndpoint = new Map<string, Map<string, Entry<Value>>>();
  let cancelTimer: CancelTimer | undefined;

  const remove = (key: string): Value | undefined => {
    const entry = all.get(key);
    if (entry === undefined) return undefined;
    all.delete(key);
    const own = byEndpoint.get(entry.endpoint);
    own?.delete(key);
    if (own?.size === 0) byEndpoint.delete(entry.endpoint);
    return entry.value;
  };
  const put = (key: string, entry: Entry<Value>): void => {
    all.set(key, entry);
    const own = byEndpoint.get(entry.endpoint) ?? new Map<string, Entry<Value>>();
    own.set(key, entry);
    byEndpoint.set(entry.endpoint, own);
  };
  const sweep = (): void => {
    cancelTimer = undefined;
    const now = clock.monotonic();
    for (const [key, entry] of all) {
      if (entry.seenAt + idleMs > now) {
        arm(entry.seenAt + idleMs - now);
        return;
      }
      remove(key);
      idle(entry.value);
    }
  };
  const arm = (ms: number): void => {
    cancelTimer ??= clock.after(ms, sweep);
  };
  return {
    touch(key) {
      const entry = all.get(key);
      if (entry === undefined) return undefined;
      remove(key);
      entry.seenAt = clock.monotonic();
      put(key, entry);
      return entry.value;
    },
    add(endpoint, key, value) {
      put(key, { endpoint, value, seenAt: clock.monotonic() });
      arm(idleMs);
    },
    remove,
    oldest(endpoint) {
      const from = endpoint === undefined ? all : byEndpoint.get(endpoint);
      for (const [key, { value }] of from ?? []) return { key, value };
      return undefined;
    },
    count: (endpoint) => (endpoint === undefined ? all.size : (byEndpoint.get(endpoint)?.size ?? 0)),
    [Symbol.dispose]() {
      cancelTimer?.();
      cancelTimer = undefined;
      all.clear();
      byEndpoint.clear();
    },
  };
}
