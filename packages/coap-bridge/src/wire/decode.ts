import { type CoapMessage, type CoapOption, type MessageType, NO_BYTES } from "./coap-message.ts";
import { EMPTY } from "./code.ts";

/** Version, type, token length, code and message id: the least that a message has (RFC 7252 section 3). */
export const HEADER_BYTES = 4;
/** Longer ones are a format error (section 3), by which a client of RFC 8974 learns that we do not take them. */
const MAX_TOKEN_BYTES = 8;

const PAYLOAD_MARKER = 0xff;
const VERSION = 1;
/** Option numbers are two bytes wide (section 12.2). */
const MAX_OPTION_NUMBER = 65_535;
const NO_OPTIONS: readonly CoapOption[] = [];

/** What follows the first four bytes. Views point into the datagram. */
export type MessageBody = Pick<CoapMessage, "token" | "options" | "payload">;

/** Whether there is a header of the version we speak; anything else is ignored in silence (section 3). */
export function hasHeader(datagram: Uint8Array): boolean {
  return datagram.length >= HEADER_BYTES && (datagram[0] ?? 0) >> 6 === VERSION;
}

/** The type in a header. */
export function typeIn(datagram: Uint8Array): MessageType {
  // Two bits hold exactly the four types.
  return (((datagram[0] ?? 0) >> 4) & 3) as MessageType;
}

/** The message id in a header. */
export function messageIdIn(datagram: Uint8Array): number {
  return ((datagram[2] ?? 0) << 8) | (datagram[3] ?? 0);
}

/**
 * Reads a whole datagram; undefined: it is no message of this version, or its format is wrong in the sense of section
 * 3: a token of more than 8 bytes or cut off, an option cut off or with the reserved 15, a marker without payload,
 * anything behind the header of an empty message. Says nothing about codes and option values.
 */
export function decodeMessage(datagram: Uint8Array): CoapMessage | undefined {
  if (!hasHeader(datagram)) return undefined;
  const body = decodeBody(datagram);
  return (
    body && {
      type: typeIn(datagram),
      code: datagram[1] ?? 0,
      messageId: messageIdIn(datagram),
      token: body.token,
      options: body.options,
      payload: body.payload,
    }
  );
}

/** The same behind a header that {@link hasHeader}. */
export function decodeBody(datagram: Uint8Array): MessageBody | undefined {
  const tokenLength = (datagram[0] ?? 0) & 15;
  const from = HEADER_BYTES + tokenLength;
  if (tokenLength > MAX_TOKEN_BYTES || from > datagram.length) return undefined;
  if (datagram[1] === EMPTY && datagram.length > HEADER_BYTES) return undefined;
  const token = tokenLength === 0 ? NO_BYTES : datagram.subarray(HEADER_BYTES, from);
  if (from === datagram.length) return { token, options: NO_OPTIONS, payload: NO_BYTES };
  const options: CoapOption[] = [];
  const payloadAt = readOptions(datagram, from, options);
  if (payloadAt === -1) return undefined;
  return {
    token,
    options,
    payload: payloadAt === datagram.length ? NO_BYTES : datagram.subarray(payloadAt),
  };
}

/** Whether there is a payload in a tail as {@link encodeTail} makes it. */
export function hasPayload(tail: Uint8Array | undefined): boolean {
  if (tail === undefined) return false;
  const payloadAt = readOptions(tail, 0, []);
  return payloadAt !== -1 && payloadAt < tail.length;
}

/** Fills in the options and answers where the payload begins, the end where there is none; -1: wrong format. */
function readOptions(datagram: Uint8Array, from: number, options: CoapOption[]): number {
  const end = datagram.length;
  let at = from;
  let number = 0;
  while (at < end) {
    const first = datagram[at] ?? 0;
    at += 1;
    // A marker with nothing behind it is an error.
    if (first === PAYLOAD_MARKER) return at < end ? at : -1;
    let delta = first >> 4;
    let length = first & 15;
    if (delta > 12 || length > 12) {
      if (delta === 15 || length === 15) return -1;
      const lengthAt = at + extraBytes(delta);
      const valueAt = lengthAt + extraBytes(length);
      if (valueAt > end) return -1;
      delta = extended(datagram, at, delta);
      length = extended(datagram, lengthAt, length);
      at = valueAt;
    }
    number += delta;
    if (at + length > end || number > MAX_OPTION_NUMBER) return -1;
    options.push({ number, value: length === 0 ? NO_BYTES : datagram.subarray(at, at + length) });
    at += length;
  }
  return end;
}

const extraBytes = (nibble: number): number => (nibble === 13 ? 1 : nibble === 14 ? 2 : 0);

function extended(datagram: Uint8Array, at: number, nibble: number): number {
  if (nibble === 13) return (datagram[at] ?? 0) + 13;
  if (nibble === 14) return (((datagram[at] ?? 0) << 8) | (datagram[at + 1] ?? 0)) + 269;
  return nibble;
}
