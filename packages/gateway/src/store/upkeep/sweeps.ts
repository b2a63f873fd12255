import type { Message } from "@nomq/core";
import type { Level } from "../disk/level.ts";
import type { Gone } from "../image/history-index.ts";
import type { Image } from "../image/image.ts";
import { DamagedValue } from "../layout/bytes.ts";
import {
  agingRange,
  bodyKey,
  doomedKey,
  dueKey,
  momentIn,
  onceKey,
  retainedKey,
  rowsOf,
  Space,
  seqIn,
  spaceRange,
  textIn,
} from "../layout/keys.ts";
import { bucketOf, readReceipts, receiptBucketIn, receiptRange } from "../layout/receipts.ts";
import { readList, readMessage, readOnce } from "../layout/records.ts";
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

/** Turns retained values that have expired into tombstones; `expiresAt` says when, where the clock was set since. */
export function sweepDue(now: number, expiresAt: (message: Message) => number | undefined): Sweep {
  let due: Buffer[] = [];
  let expired: Message[] = [];
  let later: Buffer[] = [];
  return {
    ...alone,
    more: () => due.length === SWEPT_AT_ONCE,
    async prepare(level: Level) {
      const keys = await level.keys(spaceRange(Space.due), SWEPT_AT_ONCE);
      due = keys.filter((key) => momentIn(key, 1) <= now);
      const channels = [...new Set(due.map((key) => textIn(key, 7)))].map(retainedKey);
      const read = await level.getMany(channels);
      const messages = channels.map((key, at) => {
        const value = read[at];
        return value === undefined ? undefined : readOr(() => readMessage(key, value));
      });
      const values = messages.filter((message) => message !== undefined);
      // A later value has its own time.
      expired = values.filter((message) => (expiresAt(message) ?? now + 1) <= now);
      later = values.flatMap((message) => {
        const { expiresAt: said = now + 1, channel } = message;
        const at = expiresAt(message);
        return said <= now && at !== undefined && at > now ? [dueKey(at, channel)] : [];
      });
    },
    build(flush: Flush) {
      for (const key of due) flush.batch.del(key);
      for (const key of later) flush.batch.put(key, Buffer.alloc(0));
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
      aged = await oldestOnce(level, before);
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

/**
 * Removes receipts that have been kept long enough, and the oldest of too many: whole buckets, so that fewer than 256
 * more than the limit may stay.
 */
export function sweepReceipts(before: number): Sweep {
  let gone: readonly Buffer[] = [];
  let heads = 0;
  let oldest = 0;
  return {
    ...alone,
    more: () => gone.length > 0,
    async prepare(level: Level, image: Image) {
      const { gte } = receiptRange(image.oldestReceipts);
      const [first] = await level.keys({ gte, lt: spaceRange(Space.receipt).lt }, 1);
      if (first === undefined) return;
      const bucket = receiptBucketIn(first);
      if (image.commit.receipts < image.limits.receipts.most && (await isYoung(level, bucket, before)))
        return;
      const entries = await level.page(receiptRange(bucket), SWEPT_AT_ONCE);
      const pages = entries.map(([key, value]) => readOr(() => readReceipts(key, value)));
      heads = pages.reduce((sum, page) => sum + (page?.heads.length ?? 0), 0);
      const hasYoung = pages.some((page) => page !== undefined && page.heads.length > 0 && page.at > before);
      if (hasYoung && image.commit.receipts - heads < image.limits.receipts.most) return;
      gone = entries.map(([key]) => key);
      const isWhole = gone.length < SWEPT_AT_ONCE && bucket < bucketOf(image.commit.highest);
      oldest = isWhole ? bucket + 1 : bucket;
    },
    build(flush: Flush) {
      if (gone.length === 0) return;
      for (const key of gone) flush.batch.del(key);
      flush.countReceipts(-heads);
      flush.image.oldestReceipts = oldest;
    },
  };
}

/** Whether the first page says it already: nearly always, and this is asked each second. */
async function isYoung(level: Level, bucket: number, before: number): Promise<boolean> {
  const [entry] = await level.page(receiptRange(bucket), 1);
  const page = entry === undefined ? undefined : readOr(() => readReceipts(...entry));
  return page !== undefined && page.heads.length > 0 && page.at > before;
}

interface AgedPage {
  readonly key: Buffer;
  readonly commit: number;
  readonly items: readonly string[];
}

async function oldestOnce(level: Level, before: number): Promise<AgedPage | undefined> {
  const [entry] = await level.page(agingRange, 1);
  if (entry === undefined || momentIn(entry[0], AGING_TIME) > before) return undefined;
  const [key, value] = entry;
  return { key, commit: seqIn(key), items: readOr(() => readList(key, value)) ?? [] };
}

/** Removes a page of the rows of an attachment that was forgotten; cut off, the next start goes on with it. */
export function sweepDoomed(place: number): Sweep {
  let rows: readonly Buffer[] = [];
  return {
    ...alone,
    more: () => rows.length === SWEPT_AT_ONCE,
    async prepare(level: Level) {
      rows = await level.keys(rowsOf(place), SWEPT_AT_ONCE);
    },
    build(flush: Flush) {
      const at = flush.image.doomed.get(place)?.at ?? flush.now;
      for (const key of rows) {
        flush.batch.del(key);
        flush.image.recents.remove({ seq: seqIn(key), place });
        flush.release(seqIn(key));
        flush.end({ seq: seqIn(key), place }, { is: "dropped", reason: "forgotten", at });
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
