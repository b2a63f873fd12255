import type { MessageType } from "./coap-message.ts";
import { type Code, EMPTY } from "./code.ts";
import { HEADER_BYTES } from "./decode.ts";

const VERSION_BITS = 0x40;

/** The part of a message that differs from one receiver to the next. */
export interface Header {
  readonly type: MessageType;
  readonly code: Code;
  readonly messageId: number;
  /** At most 8 bytes. */
  readonly token: Uint8Array;
}

/** A whole message: its header, and all that follows the token as {@link encodeTail} made it. */
export function encodeMessage(
  { type, code, messageId, token }: Header,
  tail: Uint8Array | undefined,
): Uint8Array {
  const tokenEnd = HEADER_BYTES + token.length;
  // Every byte is written below.
  const datagram = Buffer.allocUnsafe(tail === undefined ? tokenEnd : tokenEnd + tail.length);
  writeHeader(datagram, (type << 12) | (token.length << 8) | code, messageId);
  for (let at = 0; at < token.length; at += 1) datagram[HEADER_BYTES + at] = token[at] ?? 0;
  if (tail !== undefined) datagram.set(tail, tokenEnd);
  return datagram;
}

/** An empty message: an acknowledgement, a reset, or a CON as a ping (RFC 7252 section 4.1). */
export function encodeEmpty(type: MessageType, messageId: number): Uint8Array {
  const datagram = Buffer.allocUnsafe(HEADER_BYTES);
  writeHeader(datagram, (type << 12) | EMPTY, messageId);
  return datagram;
}

/** The first two bytes are given as one number, without the version. */
function writeHeader(datagram: Uint8Array, start: number, messageId: number): void {
  datagram[0] = VERSION_BITS | (start >> 8);
  datagram[1] = start & 0xff;
  datagram[2] = messageId >> 8;
  datagram[3] = messageId & 0xff;
}
