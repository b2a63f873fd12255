import {
  CHANNEL_ID_AT,
  FLAGS_AT,
  HEADER_BYTES,
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
import { type Packet, type PacketHeader, typeName } from "./packet.ts";

/** What a datagram says of itself in clear, true or not. */
export interface PeekedHeader extends PacketHeader {
  readonly type: Packet["type"];
  /** Bytes of the sealed payload. */
  readonly payloadLength: number;
}

/** Reads the clear header without any key; undefined where it is none. Nothing in it is authentic. */
export function peekHeader(datagram: Uint8Array): PeekedHeader | undefined {
  if (datagram.length < HEADER_BYTES) return undefined;
  const view = new DataView(datagram.buffer, datagram.byteOffset, datagram.byteLength);
  const type = typeName(view.getUint8(TYPE_AT));
  if (view.getUint16(0) !== MAGIC || view.getUint8(VERSION_AT) !== VERSION || type === undefined)
    return undefined;
  return {
    type,
    flags: view.getUint8(FLAGS_AT),
    packetId: view.getUint32(PACKET_ID_AT),
    sessionId: view.getUint32(SESSION_ID_AT),
    ttl: view.getUint16(TTL_AT),
    timestamp: view.getUint32(TIMESTAMP_AT),
    channelId: datagram.subarray(CHANNEL_ID_AT, LENGTH_AT),
    payloadLength: view.getUint16(LENGTH_AT),
  };
}
