import type { Level, LevelBatch } from "../../src/store/disk/level.ts";

/** A new batch of LevelDB's, written by the test's own `write`, which is handed the real one. */
export function batchWrittenBy(
  level: Level,
  write: (batch: LevelBatch, how: { readonly sync: boolean }) => Promise<void>,
): LevelBatch {
  const batch = level.batch();
  return {
    put: (key, value) => batch.put(key, value),
    del: (key) => batch.del(key),
    get length() {
      return batch.length;
    },
    discard: () => batch.discard(),
    write: (how) => write(batch, how),
  };
}
