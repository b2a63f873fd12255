import type { Message } from "@nomq/core";
import type { Level } from "../disk/level.ts";
import type { Gone } from "../image/history-index.ts";
import type { Image } from "../image/image.ts";
import { DamagedValue } from "../layout/bytes.ts";
import {
  type Aging,
  agingRange,
  bodyKey,
  doomedKey,
  momentIn,
  onceKey,
  receiptKey,
  retainedKey,
  rowsOf,
  Space,
  seqIn,
  spaceRange,
  textIn,
} from "../layout/keys.ts";
import {
  type ReceiptHead,
  type Row,
  readList,
  readMessage,
  readOnce,
  readReceipt,
  readRow,
} from "../layout/records.ts";
import type { Flush } from "../writing/apply.ts";
import type { Job } from "../writing/writer.ts";

/** Deleted at a time: more would keep the others' writes waiting. */
export const SWEPT_AT_ONCE = 256;
/** Space byte and kind, then the time. */
const AGING_TIME = 2;

/** A sweep writes one page; `more` says whether another may follow. */
export interface Sweep extends Job {
  readonly more: () => boolean;
}

const alone = { messages: 0, bytes: 0, isAlone: true } as const;

function readOr<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof DamagedValue || error instanceof RangeError) return undefined;
    throw error;
  }
}

/** Turns retained values that have expired into tombstones. */
export function sweepDue(now: number): Sweep {
  let due: Buffer[] = [];
  let expired: Message[] = [];
  return {
    ...alone,
    more: () => due.length === SWEPT_AT_ONCE,
    async prepare(level: Level) {
      const keys = await level.keys(spaceRange(Space.due), SWEPT_AT_ONCE);
      due = keys.filter((key) => momentIn(key, 1) <= now);
      const channels = [...new Set(due.map((key) => textIn(key, 7)))].map(retainedKey);
      const values = await level.getMany(channels);
      const messages = channels.map((key, at) => {
        const value = values[at];
        return value === undefined ? undefined : readOr(() => readMessage(key, value));
      });
      // A later value has its own time.
      expired = messages
        .filter((message) => message !== undefined)
        .filter(({ expiresAt = now + 1 }) => expiresAt <= now);
    },
    build(flush: Flush) {
      for (const key of due) flush.batch.del(key);
      for (const message of expired) flush.clearRetained(message);
    },
  };
}

/** Lets go what histories keep no longer: by time, or by a rule that has changed. */
export function sweepHistory(now: number): Sweep {
  let gone: readonly Gone[] = [];
  return {
    ...alone,
    more: () => gone.length === SWEPT_AT_ONCE,
    build(flush: Flush) {
      gone = flush.image.history.expired(now, SWEPT_AT_ONCE);
      flush.trim(gone);
    },
  };
}

/** Lets transfers end that nobody has released in time. */
export function sweepOnce(before: number): Sweep {
  const gone: Buffer[] = [];
  let aged: AgedPage | undefined;
  return {
    ...alone,
    more: () => aged !== undefined,
    async prepare(level: Level) {
      aged = await oldest(level, "once", before);
      if (aged === undefined) return;
      const { commit } = aged;
      const keys = aged.items.map(onceKey);
      const values = await level.getMany(keys);
      for (const [at, key] of keys.entries()) {
        const value = values[at];
        // The same name may stand for a later transfer.
        if (value !== undefined && readOr(() => readOnce(key, value))?.commit === commit) gone.push(key);
      }
    },
    build(flush: Flush) {
      if (aged !== undefined) flush.batch.del(aged.key);
      for (const key of gone) flush.batch.del(key);
    },
  };
}

/** Removes receipts that have been kept long enough, and the oldest of too many. */
export function sweepReceipts(before: number): Sweep {
  let aged: AgedPage | undefined;
  let heads: { readonly id: string; readonly head: ReceiptHead | undefined }[] = [];
  return {
    ...alone,
    more: () => aged !== undefined,
    async prepare(level: Level, image: Image) {
      const isTooMany = image.commit.receipts > image.limits.receipts.most;
      aged = await oldest(level, "receipts", isTooMany ? Number.POSITIVE_INFINITY : before);
      const ids = aged?.items ?? [];
      const values = await level.getMany(ids.map((id) => receiptKey(id)));
      heads = ids.map((id, at) => {
        const value = values[at];
        return {
          id,
          head: value === undefined ? undefined : readOr(() => readReceipt(receiptKey(id), value)),
        };
      });
    },
    build(flush: Flush) {
      if (aged === undefined) return;
      flush.batch.del(aged.key);
      for (const { id, head } of heads) {
        flush.batch.del(receiptKey(id));
        for (const { place } of head?.to ?? []) flush.batch.del(receiptKey(id, place));
      }
      flush.countReceipts(-heads.length);
    },
  };
}

interface AgedPage {
  readonly key: Buffer;
  readonly commit: number;
  readonly items: readonly string[];
}

async function oldest(level: Level, kind: Aging, before: number): Promise<AgedPage | undefined> {
  const [entry] = await level.page(agingRange(kind), 1);
  if (entry === undefined || momentIn(entry[0], AGING_TIME) > before) return undefined;
  const [key, value] = entry;
  return { key, commit: seqIn(key), items: readOr(() => readList(key, value)) ?? [] };
}

/** Removes a page of the rows of an attachment that was forgotten; cut off, the next start goes on with it. */
export function sweepDoomed(place: number): Sweep {
  let rows: { readonly key: Buffer; readonly row: Row | undefined }[] = [];
  let known = new Set<string>();
  return {
    ...alone,
    more: () => rows.length === SWEPT_AT_ONCE,
    async prepare(level: Level) {
      const entries = await level.page(rowsOf(place), SWEPT_AT_ONCE);
      rows = entries.map(([key, value]) => ({ key, row: readOr(() => readRow(key, value)) }));
      const ids = rows.flatMap(({ row }) => row?.id ?? []);
      const heads = await level.getMany(ids.map((id) => receiptKey(id)));
      known = new Set(ids.filter((_, at) => heads[at] !== undefined));
    },
    build(flush: Flush) {
      const at = flush.image.doomed.get(place)?.at ?? flush.now;
      for (const { key, row } of rows) {
        flush.batch.del(key);
        flush.image.recents.remove(seqIn(key), place);
        flush.release(seqIn(key));
        if (row !== undefined && known.has(row.id))
          flush.end({ id: row.id, place }, { is: "dropped", reason: "forgotten", at });
      }
      if (rows.length === SWEPT_AT_ONCE) return;
      flush.batch.del(doomedKey(place));
      flush.image.doomed.delete(place);
    },
  };
}

/** Removes bodies that nobody needs. */
export function sweepBodies(seqs: readonly number[]): Job {
  return {
    ...alone,
    build(flush: Flush) {
      for (const seq of seqs) flush.batch.del(bodyKey(seq));
    },
  };
}
