import type { CancelTimer, Clock } from "@nomq/core";

/** When a server's requests to acknowledge what it sent are answered. */
export interface Acknowledging {
  /** The server has asked. */
  asked(): void;
  /** Its answer goes out now, or never; answers whether one was due. */
  said(): boolean;
}

/**
 * Servers ask after all that they write. An answer of its own for each is a stanza to write and to read beside every
 * small one, so it waits for what is written next; XEP-0198 section 4 lets it be held back until a timeout.
 */
const ACKNOWLEDGE_WITHIN_MS = 20;

/** Makes it; `late`: nothing was written in time. After {@link Acknowledging.said} nothing is left that runs. */
export function createAcknowledging(clock: Pick<Clock, "after">, late: () => void): Acknowledging {
  let cancel: CancelTimer | undefined;
  return {
    asked() {
      cancel ??= clock.after(ACKNOWLEDGE_WITHIN_MS, () => {
        cancel = undefined;
        late();
      });
    },
    said() {
      const isDue = cancel !== undefined;
      cancel?.();
      cancel = undefined;
      return isDue;
    },
  };
}
