import type { FinalOutcome } from "@nomq/core";
import { DamagedValue, ValueReader } from "../layout/bytes.ts";
import { bodyKey, prefixed, Space, seqIn } from "../layout/keys.ts";
import { bucketOf, type End, receiptKey, seqOfId, writeReceipts } from "../layout/receipts.ts";
import { readMessage, writeNumber } from "../layout/records.ts";
import type { Level } from "./level.ts";

type Entry = [key: Buffer, value: Buffer];

/** Where format 1 had its receipts: a head under 0x00 and the 16 bytes of the id, each outcome under its place too. */
const RECEIPT = 0x13;
const HEAD_BYTES = 18;
/** Lists of receipts that end together: buckets end by themselves. */
const AGING_RECEIPTS = 1;

/** Format 2: a history's entries say when their messages were published, and receipts lie in buckets. */
export async function fromFormat1(page: readonly Entry[], from: Level): Promise<Entry[]> {
  const past = page.filter(([key]) => key[0] === Space.history);
  const bodies = await from.getMany(past.map(([key]) => bodyKey(seqIn(key))));
  const times = new Map(past.map(([key], at) => [key, publishedAt(bodyKey(seqIn(key)), bodies[at])]));
  const written: Entry[] = [];
  for (const entry of page) {
    const [key] = entry;
    const at = times.get(key);
    if (key[0] === Space.history && at !== undefined) written.push([key, writeNumber(key, at)]);
    else if (key[0] === RECEIPT) written.push(...(await receiptOf(entry, from)));
    else if (key[0] !== Space.history && !(key[0] === Space.aging && key[1] === AGING_RECEIPTS))
      written.push(entry);
  }
  return written;
}

/** Undefined where the message is damaged or missing: its history has nothing to show. */
function publishedAt(key: Buffer, value: Buffer | undefined): number | undefined {
  return value === undefined ? undefined : readOr(() => readMessage(key, value).publishedAt);
}

function readOr<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof DamagedValue) return undefined;
    throw error;
  }
}

/** A head with its outcomes as a page of its own; outcomes alone become nothing. */
async function receiptOf([key, value]: Entry, from: Level): Promise<Entry[]> {
  if (key.length !== HEAD_BYTES) return [];
  const id = key.toString("hex", 2);
  const seq = seqOfId(id);
  const head = readOr(() => readHead(key, value));
  if (seq === undefined || head === undefined) return [];
  const ends = [];
  for (const [own, end] of await from.page(prefixed(key), head.to.length + 1)) {
    const told = own.length === key.length ? undefined : readOr(() => readEnd(own, end));
    if (told !== undefined) ends.push({ seq, place: own.readUInt32BE(HEAD_BYTES), ...told });
  }
  const { channel, publishedAt: at, to } = head;
  const places = to.map(({ place }) => place);
  // Below 4,096 there are no commits of the newer format.
  const page = receiptKey(bucketOf(seq), seq % 256);
  const heads = [{ seq, id, channel, publishedAt: at, to: places }];
  const names = new Map(to.map(({ place, name }) => [place, name]));
  return [[page, writeReceipts(page, { at, heads, ends, names })]];
}

function readHead(key: Buffer, value: Buffer) {
  const reader = begun(key, value);
  const [channel, publishedAt] = [reader.text(), reader.f64()];
  const to = Array.from({ length: reader.varint() }, () => ({
    place: reader.varint(),
    name: reader.text(),
  }));
  return { channel, publishedAt, to };
}

function readEnd(key: Buffer, value: Buffer): End {
  const reader = begun(key, value);
  // The checksum vouches that an outcome was written.
  const is = reader.text() as FinalOutcome;
  const at = reader.f64();
  const hasReason = reader.u8() === 1;
  const reason = reader.text();
  return { is, ...(hasReason ? { reason } : {}), at };
}

function begun(key: Buffer, value: Buffer): ValueReader {
  const reader = new ValueReader(key, value);
  if (reader.u8() !== 1) throw new DamagedValue("the value is of another version");
  return reader;
}
