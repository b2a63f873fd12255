import type { Step } from "./step.ts";
import type { Batch } from "./store.ts";

/** Who waits until all facts are in the store. */
export interface Landing {
  resolve(): void;
  reject(error: unknown): void;
}

/** A commit that the store has not answered: what it writes, and who is told. */
export interface OpenCommit extends Batch {
  readonly taken: readonly Step[];
  readonly landed: readonly Landing[];
}
