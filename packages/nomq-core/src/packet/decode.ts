import { timingSafeEqual } from "node:crypto";
import { channelId } from "./channel-id.ts";
import { BLOCK_BYTES, unpaddedLength } from "./cipher.ts";
import { dialectFor, dialectOf } from "./dialects.ts";
import { readHeader, u16, u32 } from "./header.ts";
import type { KeyRing, PacketKey } from "./key-ring.ts";
import {
  HEADER_BYTES,
  IV_AT,
  LARGEST_DATAGRAM,
  LENGTH_AT,
  MAGIC,
  PUBLISH_PREFIX_BYTES,
  SHORTEST_PACKET,
  TYPE_AT,
  VERSION,
  VERSION_AT,
} from "./layout.ts";
import { MAC_BYTES } from "./mac.ts";
import { type DecodeFailure, type Dialect, type Key, type Packet, typeName } from "./packet.ts";

/** Bounds of the decoder. */
export interface DecodeLimits {
  /** Longer datagrams are malformed. Default 65,507 bytes, what UDP carries. */
  readonly maxDatagram?: number;
}

/** A datagram that is one of ours: authentic and well-formed. */
export interface Decoded {
  readonly ok: true;
  readonly packet: Packet;
  /** The first key of the ring that fits. */
  readonly key: Key;
  readonly dialect: Dialect;
  /** The 32 bytes of the MAC, a view into the datagram: what a replay window remembers. */
  readonly mac: Uint8Array;
}

/** A datagram that is none of ours. */
export interface Undecoded {
  readonly ok: false;
  /** `malformed`: the structure or the plaintext is wrong. `bad-mac`: no configured key fits. */
  readonly reason: DecodeFailure;
  /** In a few words, for `nomq decode`; holds nothing of the packet. */
  readonly detail: string;
}

/** What {@link decodePacket} returns. */
export type DecodeResult = Decoded | Undecoded;

/**
 * Reads a datagram: structure, MAC, decryption, plaintext, in this order, so that junk costs next to nothing.
 * Never throws. Trailing bytes are refused. `channelId` and `mac` are views into the datagram; `message` is a view
 * into the decrypted bytes, which nobody else holds.
 */
export function decodePacket(datagram: Uint8Array, ring: KeyRing, limits: DecodeLimits = {}): DecodeResult {
  const fault = structuralFault(datagram, limits.maxDatagram ?? LARGEST_DATAGRAM);
  if (fault !== undefined) return fault;
  const length = datagram.length - HEADER_BYTES - MAC_BYTES;
  const told = dialectOf(datagram, length);
  let failure: Undecoded = NO_KEY_FITS;
  for (const candidate of ring.keys) {
    const dialect = dialectFor(candidate.key, told, length);
    if (dialect === undefined) continue;
    const mac = datagram.subarray(HEADER_BYTES + length);
    if (!timingSafeEqual(candidate.macs[dialect](datagram, HEADER_BYTES + length), mac)) continue;
    const packet = open(datagram, candidate, dialect);
    if (packet.ok) return { ok: true, packet: packet.value, key: candidate.key, dialect, mac };
    // Two keys may share the MAC half, so the next one may still decrypt it.
    failure = packet;
  }
  return failure;
}

type Opened = { readonly ok: true; readonly value: Packet } | Undecoded;

function malformed(detail: string): Undecoded {
  return { ok: false, reason: "malformed", detail };
}

// Failures are made once: an attacker who sends junk shall not make us allocate.
const NO_KEY_FITS: Undecoded = { ok: false, reason: "bad-mac", detail: "no configured key fits" };
const TOO_SHORT = malformed("shorter than any packet");
const TOO_LONG = malformed("longer than the limit");
const NOT_NOMQ = malformed("does not begin with NM");
const OTHER_VERSION = malformed("another protocol version");
const OTHER_TYPE = malformed("unknown packet type");
const WRONG_LENGTH = malformed("payload length does not match the datagram");
const PARTIAL_BLOCK = malformed("payload is not whole blocks");
const BAD_PADDING = malformed("padding is wrong after decryption: the encryption key may not fit");
const BAD_PUBLISH = malformed("PUBLISH length does not match its plaintext");
const BAD_ACKNOWLEDGEMENT = malformed("acknowledgement is not 4 bytes");
const BAD_HEARTBEAT = malformed("HEARTBEAT is not empty");
const BAD_NAME = malformed("channel name is not UTF-8");
const OTHER_NAME = malformed("channel name does not belong to the channel id");

function structuralFault(datagram: Uint8Array, maxDatagram: number): Undecoded | undefined {
  if (datagram.length < SHORTEST_PACKET) return TOO_SHORT;
  if (datagram.length > maxDatagram) return TOO_LONG;
  if (u16(datagram, 0) !== MAGIC) return NOT_NOMQ;
  if (datagram[VERSION_AT] !== VERSION) return OTHER_VERSION;
  if (typeName(datagram[TYPE_AT]) === undefined) return OTHER_TYPE;
  const length = u16(datagram, LENGTH_AT);
  if (HEADER_BYTES + length + MAC_BYTES !== datagram.length) return WRONG_LENGTH;
  return length % BLOCK_BYTES === 0 ? undefined : PARTIAL_BLOCK;
}

function open(datagram: Uint8Array, key: PacketKey, dialect: Dialect): Opened {
  const ivAt = dialect === "micropython" ? HEADER_BYTES : IV_AT;
  const from = dialect === "micropython" ? HEADER_BYTES + BLOCK_BYTES : HEADER_BYTES;
  const iv = datagram.subarray(ivAt, ivAt + BLOCK_BYTES);
  const padded = key.cipher.decrypt(datagram.subarray(from, datagram.length - MAC_BYTES), iv);
  const length = unpaddedLength(padded);
  return length < 0 ? BAD_PADDING : parse(datagram, padded.subarray(0, length));
}

function parse(datagram: Uint8Array, plain: Uint8Array): Opened {
  const type = typeName(datagram[TYPE_AT]);
  switch (type) {
    case "PUBLISH":
      return parsePublish(datagram, plain);
    case "SUBSCRIBE":
    case "UNSUBSCRIBE":
      return parseName(datagram, plain, type);
    case "ACK":
    case "PUBREC":
    case "PUBREL":
    case "PUBCOMP":
      if (plain.length !== 4) return BAD_ACKNOWLEDGEMENT;
      return { ok: true, value: { type, ...readHeader(datagram), acknowledged: u32(plain, 0) } };
    case "HEARTBEAT":
      return plain.length === 0 ? { ok: true, value: { type, ...readHeader(datagram) } } : BAD_HEARTBEAT;
    case undefined:
      return OTHER_TYPE;
  }
}

function parsePublish(datagram: Uint8Array, plain: Uint8Array): Opened {
  if (plain.length < PUBLISH_PREFIX_BYTES) return BAD_PUBLISH;
  const layout = plain.length - u32(plain, 12);
  if (layout !== 16 && layout !== 20) return BAD_PUBLISH;
  const value: Packet = {
    type: "PUBLISH",
    ...readHeader(datagram),
    nonce: u32(plain, 8),
    innerTimestamp: u64(plain, 0),
    message: plain.subarray(layout),
    layout,
  };
  return { ok: true, value };
}

// The byte order mark is part of a name, not a hint to drop.
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function parseName(datagram: Uint8Array, plain: Uint8Array, type: "SUBSCRIBE" | "UNSUBSCRIBE"): Opened {
  let channel: string;
  try {
    channel = utf8.decode(plain);
  } catch {
    return BAD_NAME;
  }
  const header = readHeader(datagram);
  if (Buffer.compare(channelId(channel), header.channelId) !== 0) return OTHER_NAME;
  return { ok: true, value: { type, ...header, channel } };
}

function u64(bytes: Uint8Array, at: number): bigint {
  const high = u32(bytes, at);
  const low = BigInt(u32(bytes, at + 4));
  return high === 0 ? low : (BigInt(high) << 32n) | low;
}
