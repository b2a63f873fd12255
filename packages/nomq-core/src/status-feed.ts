import type { AbortOptions, BridgeStatus } from "./bridge.ts";

/** A bridge's status and those who follow it: what every bridge answers `status` and `statusChanges` from. */
export interface StatusFeed {
  current(): BridgeStatus;
  /** Sets the status; the same state and reason again changes nothing, `since` included. */
  set(state: BridgeStatus["state"], reason?: string): void;
  /**
   * A sequence of its own for each caller: begins with the current status, skips those that a slow reader missed,
   * ends after `closed` or when aborted. A bridge started again takes new readers.
   */
  changes(options?: AbortOptions): AsyncIterable<BridgeStatus>;
}

/** Makes a feed that begins as `starting`, reason `not started`; `now` tells Unix milliseconds. */
export function createStatusFeed(now: () => number): StatusFeed {
  let status: BridgeStatus = { state: "starting", reason: "not started", since: now() };
  const wake = new Set<() => void>();

  const changeOrAbort = async (signal: AbortSignal | undefined): Promise<void> => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const resume = (): void => resolve();
    wake.add(resume);
    signal?.addEventListener("abort", resume, { once: true });
    await promise;
    wake.delete(resume);
    signal?.removeEventListener("abort", resume);
  };
  async function* changes(options: AbortOptions = {}): AsyncGenerator<BridgeStatus, void, undefined> {
    const { signal } = options;
    let told: BridgeStatus | undefined;
    while (signal?.aborted !== true) {
      if (told !== status) {
        told = status;
        yield told;
        continue;
      }
      if (told.state === "closed") return;
      await changeOrAbort(signal);
    }
  }

  return {
    current: () => status,
    set(state, reason) {
      if (status.state === state && status.reason === reason) return;
      status = { state, ...(reason === undefined ? {} : { reason }), since: now() };
      for (const resume of wake) resume();
    },
    changes,
  };
}
