import { crc32 } from "node:zlib";

/** What was read is not what was written. */
export class DamagedValue extends Error {
  override readonly name = "DamagedValue";
}

const HIGH = 2 ** 32;
const CRC_BYTES = 4;
/** A scratch that grew for one large value is not kept. */
const KEEP_SCRATCH = 1024 * 1024;

let scratch = Buffer.allocUnsafe(4096);

/** Writes one value; one writer at a time, from construction to {@link ValueWriter.sealed}. */
export class ValueWriter {
  private at = 0;

  u8(value: number): this {
    this.reserve(1);
    this.at = scratch.writeUInt8(value, this.at);
    return this;
  }

  /** A whole number from 0 up to 2^53, seven bits a byte, low ones first. */
  varint(value: number): this {
    this.reserve(8);
    let rest = value;
    while (rest >= 0x80) {
      this.at = scratch.writeUInt8((rest % 0x80) | 0x80, this.at);
      rest = Math.floor(rest / 0x80);
    }
    this.at = scratch.writeUInt8(rest, this.at);
    return this;
  }

  f64(value: number): this {
    this.reserve(8);
    this.at = scratch.writeDoubleBE(value, this.at);
    return this;
  }

  bytes(value: Uint8Array): this {
    this.varint(value.byteLength).reserve(value.byteLength);
    scratch.set(value, this.at);
    this.at += value.byteLength;
    return this;
  }

  text(value: string): this {
    const length = Buffer.byteLength(value);
    this.varint(length).reserve(length);
    this.at += scratch.write(value, this.at);
    return this;
  }

  /** The value with a crc32 over its key and itself. */
  sealed(key: Uint8Array): Buffer {
    this.reserve(CRC_BYTES);
    const sum = crc32(scratch.subarray(0, this.at), crc32(key));
    this.at = scratch.writeUInt32BE(sum, this.at);
    const value = Buffer.from(scratch.subarray(0, this.at));
    if (scratch.length > KEEP_SCRATCH) scratch = Buffer.allocUnsafe(4096);
    return value;
  }

  private reserve(bytes: number): void {
    if (this.at + bytes <= scratch.length) return;
    const larger = Buffer.allocUnsafe(Math.max(scratch.length * 2, this.at + bytes));
    scratch.copy(larger, 0, 0, this.at);
    scratch = larger;
  }
}

/** Reads what a {@link ValueWriter} wrote; throws {@link DamagedValue} where it does not fit. */
export class ValueReader {
  private readonly value: Buffer;
  private readonly end: number;
  private at = 0;

  constructor(key: Uint8Array, value: Uint8Array) {
    this.value = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
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
    const length = this.varint();
    const from = this.take(length);
    return new Uint8Array(this.value.subarray(from, from + length));
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
  target.writeUInt32BE(Math.floor(value / HIGH), at);
  target.writeUInt32BE(value % HIGH, at + 4);
}

export function readU64(source: Uint8Array, at: number): number {
  const view = new DataView(source.buffer, source.byteOffset + at, 8);
  return view.getUint32(0) * HIGH + view.getUint32(4);
}
