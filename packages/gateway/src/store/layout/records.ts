import type { LedgerRow, Message, Principal, Qos, StoredAttachment } from "@nomq/core";
import { DamagedValue, ValueReader, ValueWriter } from "./bytes.ts";

/** The first byte of every value: how it is written. */
const VERSION = 1;

/** What an attachment is, without what it counts. */
export type Interest = Omit<StoredAttachment, "row" | "waiting" | "bytes">;

/** What a row says of its message: enough to end it without reading the body. */
export interface Row {
  readonly bytes: number;
  attempt: number;
}

/** What an attachment has counted; the row's `pending` is not kept. */
export interface Tally {
  row: LedgerRow;
  waiting: number;
  bytes: number;
  /** No live row lies below. */
  cursor: number;
}

/** One commit as its record tells it. */
export interface CommitRecord {
  readonly operations: number;
  /** The highest `seq` in a message or `seq` write so far. */
  readonly highest: number;
  readonly receipts: number;
}

const HAS = { contentType: 1, expiresAt: 2, responseChannel: 4, correlation: 8, properties: 16 } as const;

function begun(key: Uint8Array, value: Uint8Array): ValueReader {
  const reader = new ValueReader(key, value);
  if (reader.u8() !== VERSION) throw new DamagedValue("the value is of another version");
  return reader;
}

const begin = (key: Uint8Array): ValueWriter => new ValueWriter(key).u8(VERSION);

export function writeMessage(key: Uint8Array, message: Message): Buffer {
  const { contentType, expiresAt, responseChannel, correlation, properties } = message;
  const has =
    (contentType === undefined ? 0 : HAS.contentType) |
    (expiresAt === undefined ? 0 : HAS.expiresAt) |
    (responseChannel === undefined ? 0 : HAS.responseChannel) |
    (correlation === undefined ? 0 : HAS.correlation) |
    (properties === undefined ? 0 : HAS.properties);
  const writer = begin(key)
    .u8(message.qos | (message.retain ? 4 : 0))
    .u8(message.priority)
    .u8(has);
  writer
    .text(message.id)
    .varint(message.seq)
    .text(message.channel)
    .f64(message.publishedAt)
    .text(message.origin);
  if (contentType !== undefined) writer.text(contentType);
  if (expiresAt !== undefined) writer.f64(expiresAt);
  if (responseChannel !== undefined) writer.text(responseChannel);
  if (correlation !== undefined) writer.bytes(correlation);
  if (properties !== undefined) {
    writer.varint(properties.length);
    for (const [name, value] of properties) writer.text(name).text(value);
  }
  return writer.bytes(message.payload).sealed();
}

export function readMessage(key: Uint8Array, value: Uint8Array): Message {
  const reader = begun(key, value);
  const flags = reader.u8();
  const priority = reader.u8();
  const has = reader.u8();
  return {
    // Two bits hold 0 to 2: nothing else is written.
    qos: (flags & 3) as Qos,
    retain: (flags & 4) !== 0,
    priority,
    id: reader.text(),
    seq: reader.varint(),
    channel: reader.text(),
    publishedAt: reader.f64(),
    origin: reader.text(),
    ...(has & HAS.contentType ? { contentType: reader.text() } : {}),
    ...(has & HAS.expiresAt ? { expiresAt: reader.f64() } : {}),
    ...(has & HAS.responseChannel ? { responseChannel: reader.text() } : {}),
    ...(has & HAS.correlation ? { correlation: reader.bytes() } : {}),
    ...(has & HAS.properties ? { properties: pairs(reader) } : {}),
    payload: reader.bytes(),
  };
}

function pairs(reader: ValueReader): [name: string, value: string][] {
  return Array.from({ length: reader.varint() }, () => [reader.text(), reader.text()]);
}

export const writeRow = (key: Uint8Array, row: Row): Buffer =>
  begin(key).varint(row.attempt).varint(row.bytes).sealed();

export function readRow(key: Uint8Array, value: Uint8Array): Row {
  const reader = begun(key, value);
  return { attempt: reader.varint(), bytes: reader.varint() };
}

export function writeInterest(key: Uint8Array, interest: Interest): Buffer {
  const { name, as, filters, outbox } = interest;
  const writer = begin(key).text(name).text(as).text(outbox.whenFull).f64(outbox.messages).f64(outbox.bytes);
  writer.varint(filters.length);
  for (const filter of filters) writer.text(filter);
  return writer.sealed();
}

export function readInterest(key: Uint8Array, value: Uint8Array): Interest {
  const reader = begun(key, value);
  const name = reader.text();
  // The checksum vouches that these are the words of a principal and of a limit that were written.
  const as = reader.text() as Principal;
  const whenFull = reader.text() as Interest["outbox"]["whenFull"];
  const outbox = { whenFull, messages: reader.f64(), bytes: reader.f64() };
  return { name, as, outbox, filters: Array.from({ length: reader.varint() }, () => reader.text()) };
}

export function writeTally(key: Uint8Array, tally: Tally): Buffer {
  const { row, waiting, bytes, cursor } = tally;
  const writer = begin(key).varint(waiting).varint(bytes).varint(cursor);
  for (const count of [row.accepted, row.delivered, row.expired, row.refused, row.uncertain])
    writer.f64(count);
  const dropped = Object.entries(row.dropped);
  writer.varint(dropped.length);
  for (const [reason, count] of dropped) writer.text(reason).f64(count);
  return writer.sealed();
}

export function readTally(key: Uint8Array, value: Uint8Array): Tally {
  const reader = begun(key, value);
  const [waiting, bytes, cursor] = [reader.varint(), reader.varint(), reader.varint()];
  const [accepted, delivered, expired] = [reader.f64(), reader.f64(), reader.f64()];
  const [refused, uncertain] = [reader.f64(), reader.f64()];
  const dropped = Array.from({ length: reader.varint() }, () => [reader.text(), reader.f64()] as const);
  return {
    row: {
      ...{ accepted, delivered, expired, refused, uncertain, pending: 0 },
      dropped: Object.fromEntries(dropped),
    },
    ...{ waiting, bytes, cursor },
  };
}

export const writeCommit = (key: Uint8Array, record: CommitRecord): Buffer =>
  begin(key).varint(record.operations).varint(record.highest).varint(record.receipts).sealed();

export function readCommit(key: Uint8Array, value: Uint8Array): CommitRecord {
  const reader = begun(key, value);
  return { operations: reader.varint(), highest: reader.varint(), receipts: reader.varint() };
}

/** A transfer's name: the message it stands for and the commit that wrote it. */
export interface Once {
  readonly id: string;
  readonly seq: number;
  readonly commit: number;
}

export const writeOnce = (key: Uint8Array, once: Once): Buffer =>
  begin(key).text(once.id).varint(once.seq).varint(once.commit).sealed();

export function readOnce(key: Uint8Array, value: Uint8Array): Once {
  const reader = begun(key, value);
  return { id: reader.text(), seq: reader.varint(), commit: reader.varint() };
}

export const writeNumber = (key: Uint8Array, value: number): Buffer => begin(key).f64(value).sealed();
export const readNumber = (key: Uint8Array, value: Uint8Array): number => begun(key, value).f64();
export const writeText = (key: Uint8Array, value: string): Buffer => begin(key).text(value).sealed();
export const readText = (key: Uint8Array, value: Uint8Array): string => begun(key, value).text();
export const writeState = (key: Uint8Array, value: Uint8Array): Buffer => begin(key).bytes(value).sealed();
/** Not a copy. */
export const readState = (key: Uint8Array, value: Uint8Array): Uint8Array => begun(key, value).view();

export function writeList(key: Uint8Array, items: readonly string[]): Buffer {
  const writer = begin(key).varint(items.length);
  for (const item of items) writer.text(item);
  return writer.sealed();
}

export function readList(key: Uint8Array, value: Uint8Array): string[] {
  const reader = begun(key, value);
  return Array.from({ length: reader.varint() }, () => reader.text());
}
