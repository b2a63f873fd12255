import { BLOCK_BYTES } from "./cipher.ts";
import { MAC_BYTES } from "./mac.ts";

// The fixed header of NoMQ v1, protocol.md section 1: offsets in bytes, integers big-endian.
export const MAGIC = 0x4e4d;
export const VERSION = 0x01;
export const VERSION_AT = 2;
export const TYPE_AT = 3;
export const FLAGS_AT = 4;
export const PACKET_ID_AT = 5;
export const SESSION_ID_AT = 9;
export const TTL_AT = 13;
export const IV_AT = 15;
export const TIMESTAMP_AT = 31;
export const CHANNEL_ID_AT = 35;
export const LENGTH_AT = 51;
export const HEADER_BYTES = 53;

/** Bytes before the message in a PUBLISH's plaintext: u64 timestamp, u32 nonce, u32 length. */
export const PUBLISH_PREFIX_BYTES = 16;

/** The shortest packet: a standard one with a single block. */
export const SHORTEST_PACKET: number = HEADER_BYTES + BLOCK_BYTES + MAC_BYTES;

/** What one UDP datagram carries over IPv4: 65,535 less 20 bytes of IP header and 8 of UDP. */
export const LARGEST_DATAGRAM = 65_507;
