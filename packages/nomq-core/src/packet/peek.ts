import { readHeader, u16 } from "./header.ts";
import { HEADER_BYTES, LENGTH_AT, MAGIC, TYPE_AT, VERSION, VERSION_AT } from "./layout.ts";
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
  const type = typeName(datagram[TYPE_AT]);
  if (u16(datagram, 0) !== MAGIC || datagram[VERSION_AT] !== VERSION || type === undefined) return undefined;
  return { type, ...readHeader(datagram), payloadLength: u16(datagram, LENGTH_AT) };
}
