import { hash } from "node:crypto";
import type { Dialect } from "./packet.ts";

/** Bytes of a MAC in both dialects. */
export const MAC_BYTES = 32;

const HMAC_BLOCK_BYTES = 64;
const SCRATCH_BYTES = 65_536 + HMAC_BLOCK_BYTES + MAC_BYTES;

/**
 * Computes the MAC over the first `length` bytes of `data`. The result is one buffer shared by all MACs, valid
 * until the next call: whoever keeps it copies it.
 */
export type Mac = (data: Uint8Array, length: number) => Uint8Array;

// One-shot hashing takes contiguous bytes, so message and key are laid out here. Everything is synchronous, so one
// scratch buffer and one digest serve all keys.
const scratch = Buffer.alloc(SCRATCH_BYTES);
const digest = new Uint8Array(MAC_BYTES);

/** The MAC of one key in one dialect. */
export function createMac(key: Uint8Array, dialect: Dialect): Mac {
  return dialect === "micropython" ? suffixMac(key) : hmacSha256(key);
}

/** Writes the MAC of a whole datagram into its last 32 bytes. */
export type Seal = (datagram: Uint8Array) => void;

/** The same MAC for writing: the micropython one needs no copy, as its key fits where the MAC goes. */
export function createSeal(key: Uint8Array, dialect: Dialect): Seal {
  const mac = createMac(key, dialect);
  if (dialect === "micropython" && key.length === MAC_BYTES) {
    return (datagram) => {
      datagram.set(key, datagram.length - MAC_BYTES);
      writeHash(datagram, datagram, datagram.length - MAC_BYTES);
    };
  }
  return (datagram) => {
    const covered = datagram.length - MAC_BYTES;
    datagram.set(mac(datagram, covered), covered);
  };
}

/** What the device code does: SHA-256 over the message followed by the key. Not an HMAC. */
function suffixMac(key: Uint8Array): Mac {
  return (data, length) => {
    const bytes = reserve(length + key.length);
    bytes.set(data.subarray(0, length));
    bytes.set(key, length);
    writeHash(bytes, digest, 0);
    return digest;
  };
}

/** HMAC-SHA256 (RFC 2104) as two one-shot hashes over pads prepared once per key. */
function hmacSha256(key: Uint8Array): Mac {
  const inner = Buffer.alloc(HMAC_BLOCK_BYTES, 0x36);
  const outer = Buffer.alloc(HMAC_BLOCK_BYTES + MAC_BYTES, 0x5c);
  const short = key.length > HMAC_BLOCK_BYTES ? hash("sha256", key, "buffer") : key;
  for (const [at, byte] of short.entries()) {
    inner[at] = byte ^ 0x36;
    outer[at] = byte ^ 0x5c;
  }
  return (data, length) => {
    const bytes = reserve(HMAC_BLOCK_BYTES + length);
    bytes.set(inner);
    bytes.set(data.subarray(0, length), HMAC_BLOCK_BYTES);
    writeHash(bytes, outer, HMAC_BLOCK_BYTES);
    writeHash(outer, digest, 0);
    return digest;
  };
}

/**
 * A digest as a string of bytes, copied out, takes well under half the time of one as a Buffer: making the
 * Buffer's memory costs more than hashing a small packet.
 */
function writeHash(bytes: Uint8Array, target: Uint8Array, at: number): void {
  const text = hash("sha256", bytes, "binary");
  for (let index = 0; index < MAC_BYTES; index += 1) target[at + index] = text.charCodeAt(index);
}

function reserve(length: number): Buffer {
  return length <= SCRATCH_BYTES ? scratch.subarray(0, length) : Buffer.alloc(length);
}
