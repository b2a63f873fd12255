import type { Level } from "../disk/level.ts";
import type { Image } from "../image/image.ts";
import { DamagedValue } from "../layout/bytes.ts";
import { placeIn, quarantineKey, Space, seqIn, textIn } from "../layout/keys.ts";
import { readReceipts } from "../layout/receipts.ts";
import { type Row, readMessage, readNumber, readRow, readState } from "../layout/records.ts";
import type { Flush } from "../writing/apply.ts";
import type { Job } from "../writing/writer.ts";

const READERS: ReadonlyMap<number, (key: Buffer, value: Buffer) => unknown> = new Map<
  number,
  (key: Buffer, value: Buffer) => unknown
>([
  [Space.body, readMessage],
  [Space.row, readRow],
  [Space.receipt, readReceipts],
  [Space.retained, readMessage],
  [Space.tombstone, readMessage],
  [Space.state, readState],
  [Space.history, readNumber],
]);

/** Whether the value can be read for what its key says it is. */
function isSound(key: Buffer, value: Buffer): boolean {
  try {
    READERS.get(key[0] ?? 0)?.(key, value);
    return true;
  } catch (error) {
    if (error instanceof DamagedValue || error instanceof RangeError) return false;
    throw error;
  }
}

/**
 * Puts a damaged value aside, and takes the row that needs it out of its outbox. The hub, which reads fewer messages
 * than were counted, counts what is missing as `dropped: corrupt`.
 */
export function quarantineJob(damaged: { readonly key: Buffer; readonly row?: Buffer }): Job {
  const { key, row } = damaged;
  let value: Buffer | undefined;
  let lost: { readonly key: Buffer; readonly row: Row | undefined } | undefined;
  return {
    messages: 0,
    bytes: 0,
    isAlone: true,
    async prepare(level: Level) {
      const read = await level.get(key);
      if (read !== undefined && !isSound(key, read)) value = read;
      lost =
        row === undefined ? undefined : await lostRow(level, row, read === undefined || value !== undefined);
    },
    build(flush: Flush) {
      if (value !== undefined) {
        flush.batch.put(quarantineKey(key), value);
        flush.batch.del(key);
        if (key[0] === Space.retained) forget(flush.image, textIn(key));
      }
      if (lost !== undefined) takeOut(flush, lost);
    },
  };
}

/** The row, unless it has ended or its message can be read after all. */
async function lostRow(level: Level, key: Buffer, isBodyLost: boolean) {
  const value = await level.get(key);
  if (value === undefined) return undefined;
  const isReadable = isSound(key, value);
  if (isReadable && !isBodyLost) return undefined;
  return { key, row: isReadable ? readRow(key, value) : undefined };
}

function forget(image: Image, channel: string): void {
  if (!image.retained.isTombstone(channel)) image.retained.forget(channel);
}

function takeOut(flush: Flush, lost: { readonly key: Buffer; readonly row: Row | undefined }): void {
  const { key, row } = lost;
  const seq = seqIn(key);
  const attachment = flush.image.attachments.at(placeIn(key));
  if (attachment === undefined) return;
  flush.removeRow(attachment, { seq, bytes: row?.bytes ?? 0 });
  const end = { is: "dropped", reason: "corrupt", at: flush.now } as const;
  flush.end({ seq, place: attachment.place }, end);
}
