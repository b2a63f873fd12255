import {
  CHANNEL_ID_AT,
  FLAGS_AT,
  LENGTH_AT,
  PACKET_ID_AT,
  SESSION_ID_AT,
  TIMESTAMP_AT,
  TTL_AT,
} from "./layout.ts";
import type { PacketHeader } from "./packet.ts";

/** The clear header of a datagram that is long enough for one. `channelId` is a view into the datagram. */
export function readHeader(datagram: Uint8Array): PacketHeader {
  return {
    flags: datagram[FLAGS_AT] ?? 0,
    packetId: u32(datagram, PACKET_ID_AT),
    sessionId: u32(datagram, SESSION_ID_AT),
    ttl: u16(datagram, TTL_AT),
    timestamp: u32(datagram, TIMESTAMP_AT),
    channelId: datagram.subarray(CHANNEL_ID_AT, LENGTH_AT),
  };
}

/** An unsigned number of 16 bits, big-endian; missing bytes count as 0. */
export function u16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
}

/** As {@link u16}, of 32 bits. */
export function u32(bytes: Uint8Array, at: number): number {
  return u16(bytes, at) * 0x1_0000 + u16(bytes, at + 2);
}
