import type { FinalOutcome } from "@nomq/core";
import { DamagedValue, ValueReader, ValueWriter, writeU64 } from "./bytes.ts";
import { prefixed, type Range, Space, seqIn } from "./keys.ts";

/**
 * Receipts lie together: those of 256 numbers are one bucket, and a flush writes one page into each bucket it touches.
 * A key of their own for each receipt and each of its outcomes made two of eight operations per message.
 */
const BUCKET = 256;
const VERSION = 1;
/** A message's id ends with its number. */
const NUMBER_DIGITS = 16;
const ENDS: readonly FinalOutcome[] = ["delivered", "expired", "dropped", "refused", "uncertain"];

/** A message that was stored, and the places it was for. */
export interface ReceiptHead {
  readonly seq: number;
  readonly id: string;
  readonly channel: string;
  readonly publishedAt: number;
  readonly to: readonly number[];
}

/** How a message ended at one place. */
export interface End {
  readonly is: FinalOutcome;
  readonly reason?: string;
  readonly at: number;
}

/** What one flush says of the messages of a bucket. */
export interface ReceiptPage {
  /** When it was written, Unix milliseconds. */
  readonly at: number;
  readonly heads: readonly ReceiptHead[];
  readonly ends: readonly (End & { readonly seq: number; readonly place: number })[];
  /** Who the places of the heads are: an attachment that is forgotten takes its name along. */
  readonly names: ReadonlyMap<number, string>;
}

export const bucketOf = (seq: number): number => Math.floor(seq / BUCKET);
export const receiptBucketIn = (key: Uint8Array): number => seqIn(key.subarray(0, 9));

/** The number that an id ends with; undefined: no receipt has that id. */
export function seqOfId(id: string): number | undefined {
  const seq = Number.parseInt(id.slice(-NUMBER_DIGITS), 16);
  return Number.isSafeInteger(seq) && id === idOf(runOf(id), seq) ? seq : undefined;
}

const runOf = (id: string): string => id.slice(0, -NUMBER_DIGITS);
const idOf = (run: string, seq: number): string => run + seq.toString(16).padStart(NUMBER_DIGITS, "0");

/** Numbers of commits begin above 4,096. */
export function receiptKey(bucket: number, commit: number): Buffer {
  const key = Buffer.allocUnsafe(17);
  key[0] = Space.receipt;
  writeU64(key, bucket, 1);
  writeU64(key, commit, 9);
  return key;
}

/** All pages of a bucket. */
export const receiptRange = (bucket: number): Range => prefixed(receiptKey(bucket, 0).subarray(0, 9));

export function writeReceipts(key: Buffer, page: ReceiptPage): Buffer {
  const { at, heads, ends, names } = page;
  const writer = new ValueWriter(key).u8(VERSION).f64(at).varint(names.size);
  for (const [place, name] of names) writer.varint(place).text(name);
  writer.varint(heads.length);
  let run = "";
  for (const { seq, id, channel, publishedAt, to } of heads) {
    const own = runOf(id);
    writer.u8(seq % BUCKET).text(own === run ? "" : own);
    run = own;
    writer.text(channel).f64(publishedAt).varint(to.length);
    for (const place of to) writer.varint(place);
  }
  writer.varint(ends.length);
  for (const { seq, place, is, reason, at: when } of ends) {
    writer.u8(seq % BUCKET).varint(place);
    writer.u8(ENDS.indexOf(is) | (reason === undefined ? 0 : 0x80)).f64(when);
    if (reason !== undefined) writer.text(reason);
  }
  return writer.sealed();
}

export function readReceipts(key: Buffer, value: Buffer): ReceiptPage {
  const reader = new ValueReader(key, value);
  if (reader.u8() !== VERSION) throw new DamagedValue("the value is of another version");
  const first = receiptBucketIn(key) * BUCKET;
  const at = reader.f64();
  const names = new Map(many(reader, () => [reader.varint(), reader.text()] as const));
  let run = "";
  const heads = many(reader, () => {
    const seq = first + reader.u8();
    run = reader.text() || run;
    const [channel, publishedAt] = [reader.text(), reader.f64()];
    return { seq, id: idOf(run, seq), channel, publishedAt, to: many(reader, () => reader.varint()) };
  });
  const ends = many(reader, () => {
    const [seq, place, what, when] = [first + reader.u8(), reader.varint(), reader.u8(), reader.f64()];
    const is = ENDS[what & 0x7f];
    if (is === undefined) throw new DamagedValue("an outcome is unknown");
    return { seq, place, is, at: when, ...(what < 0x80 ? {} : { reason: reader.text() }) };
  });
  return { at, heads, ends, names };
}

const many = <T>(reader: ValueReader, read: () => T): T[] =>
  Array.from({ length: reader.varint() }, () => read());
