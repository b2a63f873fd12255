import { readUint, uintValue } from "./option-value.ts";

/** The value of Block1 and Block2 (RFC 7959 section 2.2): which block, whether more follow, and how large blocks are. */
export interface BlockOption {
  /** 0 to 1,048,575. */
  readonly num: number;
  readonly more: boolean;
  /** Size exponent: 0 to 6 are 16 to 1,024 bytes; 7 is reserved over UDP. */
  readonly szx: number;
}

/** Size exponent of the largest block over UDP. */
export const LARGEST_SZX = 6;
/** Its bytes, and so the largest payload that goes in one datagram. */
export const LARGEST_BLOCK_BYTES = 1024;
/** Reserved over UDP; a request that carries it is answered 4.00 (RFC 7959 section 2.2). */
export const RESERVED_SZX = 7;
/** Largest block number: 20 bits. */
export const LARGEST_NUM = 0xf_ffff;

/** Bytes of a block: 16 to 1,024. */
export const sizeOfSzx = (szx: number): number => 16 << szx;

/** Where a block begins in its body. */
export const offsetOf = (block: BlockOption): number => block.num * sizeOfSzx(block.szx);

/** Undefined: longer than three bytes, so no block option at all (RFC 7252 section 5.4.3: answered 4.02). */
export function decodeBlock(value: Uint8Array): BlockOption | undefined {
  const uint = readUint(value, 3);
  if (uint === undefined) return undefined;
  return { num: uint >>> 4, more: (uint & 0b1000) !== 0, szx: uint & 0b111 };
}

/** As short as it goes: block 0 of 16 bytes without more is no byte at all. */
export function encodeBlock({ num, more, szx }: BlockOption): Uint8Array {
  return uintValue(num * 16 + (more ? 0b1000 : 0) + szx);
}
