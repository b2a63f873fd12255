import { createCipheriv, hash } from "node:crypto";
import type { Prng } from "../../../src/testing/index.ts";
import { TYPE } from "../../../src/testing/v1-state.ts";

// Written from protocol.md section 1 alone, for speed: what attacks the codec must not be made by it.

/** Both halves of a key. */
export interface Halves {
  readonly encryption: Uint8Array;
  readonly mac: Uint8Array;
}

/** A packet before it is sealed. */
export interface Draft {
  readonly type: number;
  readonly flags: number;
  readonly packetId: number;
  readonly sessionId: number;
  readonly timestamp: number;
  readonly channelId: Uint8Array;
  /** Without padding; or, with `padded`, as it is encrypted: whole blocks. */
  readonly plain: Uint8Array;
  readonly padded?: boolean;
}

const HEADER = 53;
const MAC = 32;
const BLOCK = 16;

/** Seals in the dialect of the device code: the IV twice, SHA-256 over all and the key. */
export function seal(draft: Draft, key: Halves, random: Prng): Uint8Array {
  const plain = draft.padded === true ? draft.plain : pad(draft.plain);
  const length = BLOCK + plain.length;
  const datagram = Buffer.allocUnsafe(HEADER + length + MAC);
  for (let at = 15; at < 31; at += 4) datagram.writeUInt32BE(random.between(0, 0xffff_ffff), at);
  datagram.write("NM\u0001", 0, "latin1");
  datagram[3] = draft.type;
  datagram[4] = draft.flags;
  datagram.writeUInt32BE(draft.packetId, 5);
  datagram.writeUInt32BE(draft.sessionId, 9);
  datagram.writeUInt16BE(3600, 13);
  datagram.writeUInt32BE(draft.timestamp, 31);
  datagram.set(draft.channelId, 35);
  datagram.writeUInt16BE(length, 51);
  datagram.copyWithin(HEADER, 15, 31);
  const cipher = createCipheriv("aes-256-cbc", key.encryption, datagram.subarray(15, 31));
  datagram.set(cipher.setAutoPadding(false).update(plain), HEADER + BLOCK);
  finish(datagram, key);
  return datagram;
}

/** Writes the MAC over whatever stands before it. */
function finish(datagram: Buffer, key: Halves): void {
  datagram.set(key.mac, datagram.length - MAC);
  datagram.set(hash("sha256", datagram, "buffer"), datagram.length - MAC);
}

/** The plaintext of a PUBLISH; `says` is the length it claims. */
export function publishPlain(nonce: number, message: Uint8Array, says: number = message.length): Buffer {
  const plain = Buffer.alloc(16 + message.length);
  plain.writeUInt32BE(nonce, 8);
  plain.writeUInt32BE(says, 12);
  plain.set(message, 16);
  return plain;
}

/** PKCS #7. */
function pad(plain: Uint8Array): Buffer {
  const count = BLOCK - (plain.length % BLOCK);
  const padded = Buffer.alloc(plain.length + count, count);
  padded.set(plain);
  return padded;
}

/** What is wrong with a datagram as anyone without a key can tell; false where only the MAC can. */
export function isDeformed(datagram: Uint8Array): boolean {
  const view = Buffer.from(datagram.buffer, datagram.byteOffset, datagram.length);
  if (view.length < HEADER + BLOCK + MAC) return true;
  const [type = 0] = view.subarray(3);
  if (view.toString("latin1", 0, 3) !== "NM\u0001" || type < TYPE.publish || type > TYPE.pubcomp) return true;
  const length = view.readUInt16BE(51);
  return length % BLOCK !== 0 || view.length !== HEADER + length + MAC;
}
