import { readU64, writeU32, writeU64 } from "./bytes.ts";

/**
 * The first byte of every key. Integers are big-endian. Attachments and the owners of state are numbered; channels
 * stand by name, which LevelDB shortens against its neighbour, so that no dictionary of channels can grow for ever.
 */
export const Space = {
  meta: 0x00,
  commit: 0x01,
  name: 0x02,
  doomed: 0x03,
  body: 0x10,
  row: 0x11,
  place: 0x12,
  receipt: 0x14,
  aging: 0x1e,
  due: 0x1f,
  retained: 0x20,
  tombstone: 0x21,
  once: 0x30,
  history: 0x40,
  state: 0x54,
  quarantine: 0x7f,
} as const;

/** Keys from `gte` up to and without `lt`. */
export interface Range {
  readonly gte: Buffer;
  readonly lt: Buffer;
}

const LAST_U48 = 2 ** 48 - 1;

function numbered(space: number, ...numbers: readonly (readonly ["u32" | "u64" | "u48", number])[]): Buffer {
  const width = { u32: 4, u48: 6, u64: 8 };
  const size = numbers.reduce((sum, [kind]) => sum + width[kind], 1);
  const key = Buffer.allocUnsafe(size);
  key[0] = space;
  let at = 1;
  for (const [kind, value] of numbers) {
    if (kind === "u64") writeU64(key, value, at);
    else key.writeUIntBE(value, at, width[kind]);
    at += width[kind];
  }
  return key;
}

function named(space: number, name: string, end: Uint8Array = new Uint8Array()): Buffer {
  const length = Buffer.byteLength(name);
  const key = Buffer.allocUnsafe(1 + length + end.byteLength);
  key[0] = space;
  key.write(name, 1);
  key.set(end, 1 + length);
  return key;
}

/** Unix milliseconds as a key holds them. */
const moment = (at: number): number => Math.min(Math.max(Math.floor(at), 0), LAST_U48);

export const metaKey = (name: string): Buffer => named(Space.meta, name);
export const commitKey = (number: number): Buffer => numbered(Space.commit, ["u64", number]);

export function bodyKey(seq: number): Buffer {
  const key = Buffer.allocUnsafe(9);
  key[0] = Space.body;
  writeU64(key, seq, 1);
  return key;
}

export function rowKey(place: number, seq: number): Buffer {
  const key = Buffer.allocUnsafe(13);
  key[0] = Space.row;
  writeU32(key, place, 1);
  writeU64(key, seq, 5);
  return key;
}

export const doomedKey = (place: number): Buffer => numbered(Space.doomed, ["u32", place]);
export const retainedKey = (channel: string): Buffer => named(Space.retained, channel);
export const tombstoneKey = (channel: string): Buffer => named(Space.tombstone, channel);
export const onceKey = (key: string): Buffer => named(Space.once, key);

/** The name ends with a zero byte, which no channel has. */
export function historyKey(channel: string, seq: number): Buffer {
  const length = Buffer.byteLength(channel);
  const key = Buffer.allocUnsafe(length + 10);
  key[0] = Space.history;
  key.write(channel, 1);
  key[1 + length] = 0;
  writeU64(key, seq, 2 + length);
  return key;
}

export const dueKey = (at: number, channel: string): Buffer =>
  Buffer.concat([numbered(Space.due, ["u48", moment(at)]), Buffer.from(channel)]);

/** What an attachment is (`interest`), and what it has counted. */
export function placeKey(place: number, part: "interest" | "counts"): Buffer {
  return Buffer.concat([numbered(Space.place, ["u32", place]), Buffer.from([part === "interest" ? 0 : 1])]);
}

export type NameKind = "attachment" | "owner";
export function nameKey(kind: NameKind, name: string): Buffer {
  return Buffer.concat([Buffer.from([Space.name, kind === "attachment" ? 1 : 2]), Buffer.from(name)]);
}

/** Transfers of one commit, which end together. */
export function agingKey(at: number, commit: number): Buffer {
  const rest = numbered(2, ["u48", moment(at)], ["u64", commit]);
  return Buffer.concat([Buffer.from([Space.aging]), rest]);
}

export function stateKey(owner: number, key: Uint8Array): Buffer {
  const own = Buffer.allocUnsafe(5 + key.byteLength);
  own[0] = Space.state;
  writeU32(own, owner, 1);
  own.set(key, 5);
  return own;
}

export const quarantineKey = (key: Uint8Array): Buffer =>
  Buffer.concat([Buffer.from([Space.quarantine]), key]);

/** All keys that begin so. */
export function prefixed(prefix: Buffer): Range {
  const lt = Buffer.from(prefix);
  let last = lt.length - 1;
  while (last >= 0 && lt[last] === 0xff) last -= 1;
  if (last < 0) throw new RangeError("no key lies above this prefix");
  lt[last] = (lt[last] ?? 0) + 1;
  return { gte: prefix, lt: lt.subarray(0, last + 1) };
}

export const spaceRange = (space: number): Range => prefixed(Buffer.from([space]));
export const rowsOf = (place: number): Range => prefixed(numbered(Space.row, ["u32", place]));
export const stateOf = (owner: number): Range => prefixed(numbered(Space.state, ["u32", owner]));
export const historyOf = (channel: string): Range =>
  prefixed(named(Space.history, channel, new Uint8Array(1)));
export const agingRange: Range = prefixed(Buffer.from([Space.aging, 2]));

/** The number a body, commit, row or history key ends with. */
export const seqIn = (key: Uint8Array): number => readU64(key, key.byteLength - 8);
/** The attachment's or owner's number that follows the space. */
export const placeIn = (key: Uint8Array): number =>
  new DataView(key.buffer, key.byteOffset, key.byteLength).getUint32(1);
/** The text after the space, without `cut` bytes at its end. */
export const textIn = (key: Uint8Array, from = 1, cut = 0): string =>
  Buffer.from(key.buffer, key.byteOffset + from, key.byteLength - from - cut).toString();
/** The time after `from` bytes. */
export const momentIn = (key: Uint8Array, from: number): number =>
  Buffer.from(key.buffer, key.byteOffset, key.byteLength).readUIntBE(from, 6);
