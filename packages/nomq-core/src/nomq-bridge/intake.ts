import type { Clock } from "../clock.ts";
import type { IncomingMessage, Verdict } from "../node/contract.ts";
import { type InboundUse, publishInbound } from "./inbound.ts";

/** Messages on their way from devices to the hub. */
export interface Intake {
  take(use: InboundUse, incoming: IncomingMessage): Promise<Verdict>;
  /** Waits until every message taken is published and acknowledged, at most five seconds. */
  drain(clock: Clock): Promise<void>;
}

const DRAIN_MS = 5000;

/** Makes an intake with nothing in it. */
export function createIntake(): Intake {
  /** Messages taken and not yet answered. */
  let open = 0;
  let drained: (() => void) | undefined;
  return {
    async take(use, incoming) {
      open += 1;
      try {
        return await publishInbound(use, incoming);
      } finally {
        open -= 1;
        if (open === 0) drained?.();
      }
    },
    async drain(clock) {
      if (open === 0) return;
      const { promise, resolve } = Promise.withResolvers<void>();
      drained = resolve;
      const cancel = clock.after(DRAIN_MS, resolve);
      await promise;
      cancel();
    },
  };
}
