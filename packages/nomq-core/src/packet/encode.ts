import { NomqError } from "../errors.ts";
import { BLOCK_BYTES, paddedLength } from "./cipher.ts";
import type { PacketKey } from "./key-ring.ts";
import {
  CHANNEL_ID_AT,
  FLAGS_AT,
  HEADER_BYTES,
  IV_AT,
  LARGEST_DATAGRAM,
  LENGTH_AT,
  MAGIC,
  PACKET_ID_AT,
  SESSION_ID_AT,
  TIMESTAMP_AT,
  TTL_AT,
  TYPE_AT,
  VERSION,
  VERSION_AT,
} from "./layout.ts";
import { MAC_BYTES } from "./mac.ts";
import { type Dialect, PACKET_TYPES, type Packet } from "./packet.ts";
import { pooledRandom, type RandomSource } from "./random.ts";

/** How to seal a packet. */
export interface EncodeOptions {
  readonly dialect: Dialect;
  /** 16 bytes, never used twice with one key. Default: drawn from `random`. */
  readonly iv?: Uint8Array;
  /** Default: the machine's, pooled. */
  readonly random?: RandomSource;
  /** Default 65,507 bytes. */
  readonly maxDatagram?: number;
}

/**
 * Seals a packet into one datagram. A PUBLISH of layout 20 has four zero bytes before the message, as devices
 * require it; of layout 16 none, as devices send it. Both IVs of the `micropython` dialect are equal.
 * Throws `datagram-too-large`, and RangeError for a field that does not fit its width.
 */
export function encodePacket(packet: Packet, key: PacketKey, options: EncodeOptions): Uint8Array {
  const body = bodyOf(packet);
  const plainLength = body.prefix + body.bytes.length;
  const sealed = paddedLength(plainLength);
  const doubled = options.dialect === "micropython" ? BLOCK_BYTES : 0;
  const length = doubled + sealed;
  const total = HEADER_BYTES + length + MAC_BYTES;
  const limit = Math.min(options.maxDatagram ?? LARGEST_DATAGRAM, LARGEST_DATAGRAM);
  if (total > limit)
    throw new NomqError("datagram-too-large", `${packet.type} takes ${total} bytes, limit ${limit}`);

  // Not zeroed: every byte is written below. Small ones come from Node's pool, which saves half the call.
  const datagram = Buffer.allocUnsafe(total);
  const iv = ivOf(options);
  datagram.set(iv, IV_AT);
  writeHeader(datagram, packet, length);
  if (doubled > 0) datagram.set(iv, HEADER_BYTES);

  // The padded plaintext is laid where the ciphertext goes, then encrypted over itself.
  const at = HEADER_BYTES + doubled;
  const padded = datagram.subarray(at, at + sealed);
  writeBody(padded, packet, body);
  padded.fill(sealed - plainLength, plainLength);
  padded.set(key.cipher.encrypt(padded, iv));

  key.seals[options.dialect](datagram);
  return datagram;
}

/** The smallest datagram that holds a message of that many bytes. */
export function publishSize(messageBytes: number, options: { dialect: Dialect; layout: 16 | 20 }): number {
  const doubled = options.dialect === "micropython" ? BLOCK_BYTES : 0;
  return HEADER_BYTES + doubled + paddedLength(options.layout + messageBytes) + MAC_BYTES;
}

interface Body {
  /** Bytes of the plaintext before `bytes`. */
  readonly prefix: number;
  readonly bytes: Uint8Array;
}

const NOTHING = new Uint8Array(0);

function bodyOf(packet: Packet): Body {
  switch (packet.type) {
    case "PUBLISH":
      return { prefix: packet.layout, bytes: packet.message };
    case "SUBSCRIBE":
    case "UNSUBSCRIBE":
      if (!packet.channel.isWellFormed()) throw new RangeError("a channel name is well-formed Unicode");
      return { prefix: 0, bytes: Buffer.from(packet.channel, "utf8") };
    case "ACK":
    case "PUBREC":
    case "PUBREL":
    case "PUBCOMP":
      return { prefix: 4, bytes: NOTHING };
    case "HEARTBEAT":
      return { prefix: 0, bytes: NOTHING };
  }
}

function writeBody(padded: Buffer, packet: Packet, body: Body): void {
  // What of the prefix is not written below is layout 20's filler.
  padded.fill(0, 0, body.prefix);
  if (packet.type === "PUBLISH") {
    writeU64(padded, packet.innerTimestamp);
    padded.writeUInt32BE(packet.nonce, 8);
    padded.writeUInt32BE(packet.message.length, 12);
  } else if ("acknowledged" in packet) {
    padded.writeUInt32BE(packet.acknowledged, 0);
  }
  padded.set(body.bytes, body.prefix);
}

/** At offset 0. Times before 2106 fit 32 bits, which spares the slow path of 64. */
function writeU64(target: Buffer, value: bigint): void {
  if (value < 0n || value > 0xffff_ffffn) target.writeBigUInt64BE(value, 0);
  else target.writeUInt32BE(Number(value), 4);
}

// Held only while one packet is written.
const drawn = new Uint8Array(BLOCK_BYTES);

function ivOf({ iv, random = pooledRandom }: EncodeOptions): Uint8Array {
  if (iv === undefined) {
    random(drawn);
    return drawn;
  }
  if (iv.length === BLOCK_BYTES) return iv;
  throw new RangeError(`an IV has 16 bytes, not ${iv.length}`);
}

function writeHeader(datagram: Buffer, packet: Packet, length: number): void {
  if (packet.channelId.length !== LENGTH_AT - CHANNEL_ID_AT) {
    throw new RangeError(`a channel id has 16 bytes, not ${packet.channelId.length}`);
  }
  datagram.writeUInt16BE(MAGIC, 0);
  datagram[VERSION_AT] = VERSION;
  datagram[TYPE_AT] = PACKET_TYPES[packet.type];
  datagram.writeUInt8(packet.flags, FLAGS_AT);
  datagram.writeUInt32BE(packet.packetId, PACKET_ID_AT);
  datagram.writeUInt32BE(packet.sessionId, SESSION_ID_AT);
  datagram.writeUInt16BE(packet.ttl, TTL_AT);
  datagram.writeUInt32BE(packet.timestamp, TIMESTAMP_AT);
  datagram.set(packet.channelId, CHANNEL_ID_AT);
  datagram.writeUInt16BE(length, LENGTH_AT);
}
