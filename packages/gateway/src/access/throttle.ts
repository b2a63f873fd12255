import type { Clock } from "@nomq/core";

/** Under what failures are counted, and how many of them cost nothing. */
export interface ThrottleKey {
  readonly name: string;
  readonly free: number;
}

/** Slows guessing: after some failures every further one doubles the time during which no attempt is looked at. */
export interface Throttle {
  /** Milliseconds until attempts under these keys are looked at again; 0 = now. */
  wait(keys: readonly ThrottleKey[]): number;
  failed(keys: readonly ThrottleKey[]): void;
  succeeded(keys: readonly ThrottleKey[]): void;
}

/** Options of {@link createThrottle}. */
export interface ThrottleOptions {
  readonly clock: Clock;
  /** Default 60,000 ms. */
  readonly longest?: number;
  /** Names remembered. Default 10,000; the one that failed longest ago gives way. */
  readonly most?: number;
}

interface Failing {
  failures: number;
  until: number;
}

const FIRST_MS = 1_000;
/** A name without failures for so long begins anew. */
const FORGET_MS = 15 * 60_000;

/** Makes a throttle; what it remembers ends with the process. */
export function createThrottle(options: ThrottleOptions): Throttle {
  const { clock, longest = 60_000, most = 10_000 } = options;
  // In the order of their last failure.
  const failing = new Map<string, Failing>();
  const find = (name: string): Failing | undefined => {
    const found = failing.get(name);
    if (found === undefined || clock.monotonic() - found.until < FORGET_MS) return found;
    failing.delete(name);
    return undefined;
  };
  return {
    wait: (keys) => Math.max(0, ...keys.map(({ name }) => (find(name)?.until ?? 0) - clock.monotonic())),
    failed(keys) {
      for (const { name, free } of keys) {
        const failures = (find(name)?.failures ?? 0) + 1;
        const pause = failures <= free ? 0 : Math.min(FIRST_MS * 2 ** (failures - free - 1), longest);
        failing.delete(name);
        const [oldest] = failing.keys();
        if (failing.size >= most && oldest !== undefined) failing.delete(oldest);
        failing.set(name, { failures, until: clock.monotonic() + pause });
      }
    },
    succeeded(keys) {
      for (const { name } of keys) failing.delete(name);
    },
  };
}
