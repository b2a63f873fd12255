import { crc32 } from "node:zlib";

/** How values are written. */
const VERSION = 1;
const HEAD_BYTES = 5;
const CRC_BYTES = 4;
const NOTHING = Buffer.alloc(0);

/** A value as it is stored: a version, a head of words, bytes, and a checksum over all of it and its key. */
export function sealed(key: Uint8Array, head: object, bytes: Uint8Array = new Uint8Array()): Uint8Array {
  const words = Buffer.from(JSON.stringify(head));
  const value = Buffer.allocUnsafe(HEAD_BYTES + words.length + bytes.byteLength + CRC_BYTES);
  value[0] = VERSION;
  value.writeUInt32BE(words.length, 1);
  value.set(words, HEAD_BYTES);
  value.set(bytes, HEAD_BYTES + words.length);
  value.writeUInt32BE(checksum(key, value.subarray(0, -CRC_BYTES)), value.length - CRC_BYTES);
  return value;
}

/** What {@link sealed} was given; undefined when it is not what was written. */
export function unsealed(
  key: Uint8Array,
  value: Uint8Array,
): { readonly head: unknown; readonly bytes: Buffer } | undefined {
  const bytes = Buffer.isBuffer(value)
    ? value
    : Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  if (bytes.length < HEAD_BYTES + CRC_BYTES || bytes[0] !== VERSION) return undefined;
  const end = bytes.length - CRC_BYTES;
  if (bytes.readUInt32BE(end) !== checksum(key, bytes.subarray(0, end))) return undefined;
  const from = HEAD_BYTES + bytes.readUInt32BE(1);
  if (from > end) return undefined;
  return {
    head: JSON.parse(bytes.toString("utf8", HEAD_BYTES, from)),
    // A copy: a view would keep the store's page alive.
    bytes: from === end ? NOTHING : Buffer.from(bytes.subarray(from, end)),
  };
}

function checksum(key: Uint8Array, value: Uint8Array): number {
  return crc32(value, crc32(key));
}
