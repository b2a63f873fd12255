import type { AbortOptions, BridgeStatus, Clock } from "@nomq/core";

/** A bridge's state that can be asked for and followed. */
export interface StatusBoard {
  now(): BridgeStatus;
  set(state: BridgeStatus["state"], reason?: string): void;
  changes(options?: AbortOptions): AsyncIterable<BridgeStatus>;
}

/** Makes a board in state `starting`; `clock` is asked at each change. */
export function createStatusBoard(clock: () => Pick<Clock, "now">): StatusBoard {
  let current: BridgeStatus = { state: "starting", reason: "not started", since: 0 };
  const wakers = new Set<() => void>();

  async function* changes(options?: AbortOptions): AsyncGenerator<BridgeStatus> {
    const { signal } = options ?? {};
    let seen: BridgeStatus | undefined;
    while (signal?.aborted !== true) {
      if (seen !== current) {
        seen = current;
        yield seen;
        if (seen.state === "closed") return;
        continue;
      }
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          wakers.delete(wake);
          signal?.removeEventListener("abort", wake);
          resolve();
        };
        wakers.add(wake);
        signal?.addEventListener("abort", wake, { once: true });
      });
    }
  }

  return {
    now: () => current,
    set(state, reason) {
      if (current.state === state && current.reason === reason) return;
      current = { state, since: clock().now(), ...(reason !== undefined && { reason }) };
      for (const wake of [...wakers]) wake();
    },
    changes,
  };
}
