import type { Host } from "./peer.ts";

/** What one remote, and all of them, may ask of us. */
export interface RequestLimits {
  /** Requests of one remote that are being answered at once. Default 64. More: 4.29. */
  readonly underWay?: number;
  /** The same of all remotes. Default 4096. More: 5.03. */
  readonly underWayInAll?: number;
  /** Requests a second of one address, duplicates aside; loopback is exempt. Default 2000. More: 4.29. */
  readonly rate?: number;
  /** As many may come at once after a pause. Default twice the rate. */
  readonly burst?: number;
}

/** Counts requests against the limits of an address. */
export interface RateLimit {
  /** Whether one more may be served; false takes nothing from the allowance. */
  take(host: Host, now: number): boolean;
}

const DEFAULT_RATE = 2000;

/** Makes the count: a bucket per address that fills at `rate`. */
export function createRateLimit({ rate = DEFAULT_RATE, burst = 2 * rate }: RequestLimits): RateLimit {
  return {
    take(host, now) {
      if (host.trusted) return true;
      host.allowance = Math.min(burst, host.allowance + ((now - host.countedAt) * rate) / 1000);
      host.countedAt = now;
      if (host.allowance < 1) return false;
      host.allowance -= 1;
      return true;
    },
  };
}
