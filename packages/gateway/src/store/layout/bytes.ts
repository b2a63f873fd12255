import { crc32 } from "node:zlib";

/** What was read is not what was written. */
export class DamagedValue extends Error {
  override readonly name = "DamagedValue";
}

const HIGH = 2 ** 32;
const CRC_BYTES = 4;
/** Memory is taken in pieces of this size: one for each value would cost more than what is written into it. */
const PIECE = 64 * 1024;
/** Shorter texts are written here, character by character: a call into the system's code takes longer. */
const SHORT = 48;

let piece = Buffer.allocUnsafeSlow(PIECE);
/** What lies before is given away. */
let used = 0;

/** Writes one value; one writer at a time, from construction to {@link ValueWriter.sealed}. */
export class ValueWriter {
  private readonly keyBytes: number;
  private from = used;
  private at = used;

  /** The value of this key. */
  constructor(key: Uint8Array) {
    this.keyBytes = key.byteLength;
    this.reserve(key.byteLength);
    // Before the value, so that the checksum is over one piece.
    piece.set(key, this.at);
    this.at += key.byteLength;
  }

  u8(value: number): this {
    this.reserve(1);
    piece[this.at] = value;
    this.at += 1;
    return this;
  }

  /** A whole number from 0 up to 2^53, seven bits a byte, low ones first. */
  varint(value: number): this {
    this.reserve(8);
    let rest = value;
    let { at } = this;
    while (rest >= 0x80) {
      piece[at] = (rest % 0x80) | 0x80;
      at += 1;
      rest = Math.floor(rest / 0x80);
    }
    piece[at] = rest;
    this.at = at + 1;
    return this;
  }

  f64(value: number): this {
    this.reserve(8);
    this.at = piece.writeDoubleBE(value, this.at);
    return this;
  }

  bytes(value: Uint8Array): this {
    this.varint(value.byteLength).reserve(value.byteLength);
    piece.set(value, this.at);
    this.at += value.byteLength;
    return this;
  }

  text(value: string): this {
    if (value.length < SHORT && this.plain(value)) return this;
    const length = Buffer.byteLength(value);
    this.varint(length).reserve(length);
    this.at += piece.write(value, this.at);
    return this;
  }

  /** The value with a crc32 over its key and itself. */
  sealed(): Buffer {
    this.reserve(CRC_BYTES);
    const sum = crc32(piece.subarray(this.from, this.at));
    const end = piece.writeUInt32BE(sum, this.at);
    const value = piece.subarray(this.from + this.keyBytes, end);
    used = end;
    return value;
  }

  /** Writes a short text of ASCII characters; false, and nothing is written, when it has others. */
  private plain(value: string): boolean {
    this.reserve(SHORT);
    const { at } = this;
    for (let index = 0; index < value.length; index += 1) {
      const code = value.charCodeAt(index);
      if (code > 0x7f) return false;
      piece[at + 1 + index] = code;
    }
    piece[at] = value.length;
    this.at = at + 1 + value.length;
    return true;
  }

  /** Goes on in a new piece where this one ends. */
  private reserve(bytes: number): void {
    if (this.at + bytes <= piece.length) return;
    const begun = this.at - this.from;
    const next = Buffer.allocUnsafeSlow(Math.max(PIECE, 2 * (begun + bytes)));
    piece.copy(next, 0, this.from, this.at);
    piece = next;
    this.from = 0;
    this.at = begun;
  }
}

/** Reads what a {@link ValueWriter} wrote; throws {@link DamagedValue} where it does not fit. */
export class ValueReader {
  private readonly value: Buffer;
  private readonly end: number;
  private at = 0;

  constructor(key: Uint8Array, value: Uint8Array) {
    this.value = Buffer.isBuffer(value)
      ? value
      : Buffer.from(value.buffer, value.byteOffset, value.byteLength);
    this.end = value.byteLength - CRC_BYTES;
    if (this.end < 0) throw new DamagedValue("the value is too short");
    const sum = crc32(this.value.subarray(0, this.end), crc32(key));
    if (sum !== this.value.readUInt32BE(this.end)) throw new DamagedValue("the checksum does not fit");
  }

  u8(): number {
    return this.value.readUInt8(this.take(1));
  }

  varint(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 0x80) {
      const byte = this.u8();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      if (scale > Number.MAX_SAFE_INTEGER) throw new DamagedValue("a number is too large");
    }
  }

  f64(): number {
    return this.value.readDoubleBE(this.take(8));
  }

  /** A copy: what LevelDB handed out may be part of a larger buffer. */
  bytes(): Uint8Array {
    return new Uint8Array(this.view());
  }

  view(): Uint8Array {
    const length = this.varint();
    const from = this.take(length);
    return this.value.subarray(from, from + length);
  }

  text(): string {
    const length = this.varint();
    const from = this.take(length);
    return this.value.toString("utf8", from, from + length);
  }

  private take(bytes: number): number {
    const from = this.at;
    if (from + bytes > this.end) throw new DamagedValue("the value ends early");
    this.at += bytes;
    return from;
  }
}

/** A whole number up to 2^53 as eight bytes, so that byte order is number order. */
export function writeU64(target: Buffer, value: number, at: number): void {
  writeU32(target, Math.floor(value / HIGH), at);
  writeU32(target, value % HIGH, at + 4);
}

/** A whole number below 2^32 as four bytes. */
export function writeU32(target: Buffer, value: number, at: number): void {
  target[at] = value >>> 24;
  target[at + 1] = value >>> 16;
  target[at + 2] = value >>> 8;
  target[at + 3] = value;
}

export function readU64(source: Uint8Array, at: number): number {
  const view = new DataView(source.buffer, source.byteOffset + at, 8);
  return view.getUint32(0) * HIGH + view.getUint32(4);
}
