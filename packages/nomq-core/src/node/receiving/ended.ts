import type { StateChange } from "../../bridge.ts";

const KEY = "e/ended";

/** Stands in a node's state from its end to its next start: nothing of the replay windows was lost. */
export const ENDED: Required<StateChange> = { key: Buffer.from(KEY), value: new Uint8Array(0) };

/** Whether a record is that mark. */
export const isEndedMark = (key: Uint8Array): boolean => Buffer.from(key).toString("latin1") === KEY;
