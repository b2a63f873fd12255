import type { Write } from "@nomq/core";
import type { Level } from "../disk/level.ts";
import type { Image } from "../image/image.ts";
import { DamagedValue } from "../layout/bytes.ts";
import { rowKey } from "../layout/keys.ts";
import { type Row, readRow } from "../layout/records.ts";

/** Reads the rows that a batch ends or opens and that are no longer in memory. */
export async function prefetch(level: Level, image: Image, writes: readonly Write[]): Promise<void> {
  const wanted: { seq: number; place: number }[] = [];
  for (const write of writes) {
    if (write.write !== "outcome" && write.write !== "open") continue;
    const place = image.attachments.get(write.name)?.place;
    if (place === undefined) continue;
    const at = { seq: write.seq, place };
    if (!image.recents.knows(at)) wanted.push(at);
  }
  if (wanted.length === 0) return;
  const keys = wanted.map(({ seq, place }) => rowKey(place, seq));
  const values = await level.getMany(keys);
  const rows = keys.map((key, at) => rowOf(key, values[at]));
  for (const [at, place] of wanted.entries()) image.recents.learn(place, rows[at]);
}

/** A damaged row still stands for a message that waited. */
function rowOf(key: Buffer, value: Buffer | undefined): Row | undefined {
  if (value === undefined) return undefined;
  try {
    return readRow(key, value);
  } catch (error) {
    if (error instanceof DamagedValue) return { bytes: 0, attempt: 0 };
    throw error;
  }
}
