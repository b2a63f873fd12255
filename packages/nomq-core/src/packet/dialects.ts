import { BLOCK_BYTES } from "./cipher.ts";
import { HEADER_BYTES, IV_AT } from "./layout.ts";
import type { Dialect, Key } from "./packet.ts";

/**
 * The dialect of a packet, told by its structure before any crypto (protocol.md section 1b): a payload that
 * begins with the header's IV is `micropython`. The wrong guess is never tried afterwards, so nobody can choose
 * the weaker MAC for us. `length` is the payload's: a multiple of 16, not 0.
 */
export function dialectOf(datagram: Uint8Array, length: number): Dialect {
  return length >= 2 * BLOCK_BYTES && hasEqualIvs(datagram) ? "micropython" : "standard";
}

/**
 * The dialect in which this key reads a packet of that structure; undefined when it reads none such. A key with
 * `dialect: micropython` goes by the payload's IV as devices do, whatever the header's is.
 */
export function dialectFor(key: Key, told: Dialect, length: number): Dialect | undefined {
  if (key.dialect === "auto") return told;
  if (key.dialect === "micropython") return length >= 2 * BLOCK_BYTES ? "micropython" : undefined;
  return told === "standard" ? "standard" : undefined;
}

function hasEqualIvs(datagram: Uint8Array): boolean {
  for (let at = 0; at < BLOCK_BYTES; at += 1) {
    if (datagram[IV_AT + at] !== datagram[HEADER_BYTES + at]) return false;
  }
  return true;
}
