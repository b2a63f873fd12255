import type { Write } from "./store.ts";

/** One step of the queue that orders attach, filter changes and publishes. */
export interface Step {
  /** Bytes that wait with it. */
  readonly bytes: number;
  /** Opens a batch of its own: facts come before offers, and this one's may undo earlier offers. */
  readonly isAlone?: boolean;
  /** Decides, in the queue's order; `done` when it leaves nothing to commit. */
  decide(batch: { offers: Write[]; facts: Write[] }): "commit" | "done";
  committed(): void;
  /** Its writes are not in the store; steps are told newest first. */
  failed(error: unknown): void;
}
