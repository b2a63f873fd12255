import type { LevelBatch } from "../disk/level.ts";
import { writeState } from "../layout/records.ts";

/**
 * The state of bridges that a flush changes: of many changes of one thing the last is written. A replay window's head
 * changes with each message.
 */
export class LastStates {
  private readonly byKey = new Map<
    string,
    { readonly key: Buffer; readonly value: Uint8Array | undefined }
  >();

  set(key: Buffer, value: Uint8Array | undefined): void {
    this.byKey.set(key.toString("latin1"), { key, value });
  }

  put(batch: LevelBatch): void {
    for (const { key, value } of this.byKey.values()) {
      if (value === undefined) batch.del(key);
      else batch.put(key, writeState(key, value));
    }
  }
}
