import { type Cipheriv, createCipheriv, createDecipheriv, type Decipheriv } from "node:crypto";

/** Bytes of an AES block and of an IV. */
export const BLOCK_BYTES = 16;

const ALGORITHM = "aes-256-cbc";

/**
 * AES-256-CBC with one cipher object per key and direction. Creating one costs as much as a packet's hash, so the
 * objects live on and the chaining value they hold is taken out by XOR: CBC adds the last ciphertext block to the
 * next plaintext block, we add it once more together with the packet's IV, and what remains is the IV alone.
 * An object that threw is in an unknown state: it is dropped and made anew.
 */
export interface BlockCipher {
  /** Encrypts whole blocks in place of `padded`, which it overwrites with scratch bytes. Returns the ciphertext. */
  encrypt(padded: Uint8Array, iv: Uint8Array): Uint8Array;
  /** Decrypts whole blocks; padding is left on. The result is the caller's. */
  decrypt(ciphertext: Uint8Array, iv: Uint8Array): Uint8Array;
}

/** Makes the cipher of one 32-byte key; the native objects are created on first use. */
export function createBlockCipher(key: Uint8Array): BlockCipher {
  const zero = new Uint8Array(BLOCK_BYTES);
  const lastEncrypted = new Uint8Array(BLOCK_BYTES);
  const lastDecrypted = new Uint8Array(BLOCK_BYTES);
  let cipher: Cipheriv | undefined;
  let decipher: Decipheriv | undefined;

  return {
    encrypt(padded, iv) {
      const live = cipher ?? createCipheriv(ALGORITHM, key, zero).setAutoPadding(false);
      if (cipher === undefined) lastEncrypted.fill(0);
      // Forgotten until the bookkeeping below is done, so that a throw drops it.
      cipher = undefined;
      xorBlock(padded, iv, lastEncrypted);
      const ciphertext = live.update(padded);
      copyLastBlock(ciphertext, lastEncrypted, padded.length);
      cipher = live;
      return ciphertext;
    },
    decrypt(ciphertext, iv) {
      const live = decipher ?? createDecipheriv(ALGORITHM, key, zero).setAutoPadding(false);
      if (decipher === undefined) lastDecrypted.fill(0);
      decipher = undefined;
      const padded = live.update(ciphertext);
      if (padded.length !== ciphertext.length) throw new RangeError("ciphertext is not whole blocks");
      xorBlock(padded, iv, lastDecrypted);
      copyLastBlock(ciphertext, lastDecrypted, padded.length);
      decipher = live;
      return padded;
    },
  };
}

/** Length of the plaintext under PKCS #7 padding (RFC 5652 section 6.3), or -1 when the padding is wrong. */
export function unpaddedLength(padded: Uint8Array): number {
  const count = padded[padded.length - 1] ?? 0;
  if (count === 0 || count > BLOCK_BYTES || count > padded.length) return -1;
  for (let at = padded.length - count; at < padded.length; at += 1) {
    if (padded[at] !== count) return -1;
  }
  return padded.length - count;
}

/** Length after PKCS #7 padding: always at least one byte more, a multiple of 16. */
export function paddedLength(plain: number): number {
  return plain + BLOCK_BYTES - (plain % BLOCK_BYTES);
}

function xorBlock(target: Uint8Array, one: Uint8Array, other: Uint8Array): void {
  for (let at = 0; at < BLOCK_BYTES; at += 1) {
    target[at] = (target[at] ?? 0) ^ (one[at] ?? 0) ^ (other[at] ?? 0);
  }
}

function copyLastBlock(source: Uint8Array, target: Uint8Array, expected: number): void {
  if (source.length !== expected || expected < BLOCK_BYTES) throw new RangeError("not whole blocks");
  for (let at = 0, from = expected - BLOCK_BYTES; at < BLOCK_BYTES; at += 1, from += 1) {
    target[at] = source[from] ?? 0;
  }
}
