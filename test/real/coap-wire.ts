import { randomBytes } from "node:crypto";

/**
 * Makes and reads CoAP messages (RFC 7252 section 3), written from the description of the wire alone and on purpose
 * without any code of ours: what is wrong in our codec must not be wrong here too.
 */
export interface CoapPacket {
  readonly type: CoapType;
  /** As RFCs write it: `0.01` is GET, `2.05` content, `0.00` empty. */
  readonly code: string;
  readonly messageId: number;
  readonly token: Buffer;
  /** Number and value, in the order of the wire. */
  readonly options: readonly CoapOptionPair[];
  readonly payload: Buffer;
}

export type CoapType = "CON" | "NON" | "ACK" | "RST";
export type CoapOptionPair = readonly [number: number, value: Buffer];

const TYPES: readonly CoapType[] = ["CON", "NON", "ACK", "RST"];

export const GET = "0.01";
export const POST = "0.02";
export const PUT = "0.03";
export const DELETE = "0.04";
export const EMPTY = "0.00";

/** Option numbers (IANA, CoAP Option Numbers). */
export const OPTION = {
  ifMatch: 1,
  etag: 4,
  ifNoneMatch: 5,
  observe: 6,
  locationPath: 8,
  uriPath: 11,
  contentFormat: 12,
  maxAge: 14,
  uriQuery: 15,
  accept: 17,
  locationQuery: 20,
  block2: 23,
  block1: 27,
  size2: 28,
  size1: 60,
} as const;

export const randomMessageId = (): number => randomBytes(2).readUInt16BE();
export const randomToken = (): Buffer => randomBytes(4);

/** An uint option's value: as many bytes as it needs. */
export function uint(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  const first = bytes.findIndex((byte) => byte !== 0);
  return first < 0 ? Buffer.alloc(0) : bytes.subarray(first);
}

/** One Uri-Path option a level, one Uri-Query option a parameter: `a/b?qos=1`. */
export function uriOptions(uri: string): CoapOptionPair[] {
  const [path = "", query] = uri.split("?");
  const of = (number: number, parts: readonly string[]): CoapOptionPair[] =>
    parts.map((part) => [number, Buffer.from(part)]);
  return [
    ...of(OPTION.uriPath, path === "" ? [] : path.split("/")),
    ...of(OPTION.uriQuery, query === undefined ? [] : query.split("&")),
  ];
}

/** The first value of an option. */
export function optionOf({ options }: Pick<CoapPacket, "options">, number: number): Buffer | undefined {
  return options.find(([each]) => each === number)?.[1];
}

/** The first value of an uint option. */
export function numberOf(packet: Pick<CoapPacket, "options">, number: number): number | undefined {
  const value = optionOf(packet, number);
  return value === undefined ? undefined : value.reduce((sum, byte) => sum * 256 + byte, 0);
}

/** A Block option in words (RFC 7959 section 2.2). */
export interface Block {
  readonly num: number;
  readonly more: boolean;
  readonly size: number;
}

export function blockValue({ num, more, size }: Block): Buffer {
  return uint((num << 4) | (more ? 8 : 0) | (Math.log2(size) - 4));
}

export function blockOf(packet: Pick<CoapPacket, "options">, number: number): Block | undefined {
  const value = numberOf(packet, number);
  if (value === undefined) return undefined;
  return { num: value >> 4, more: (value & 8) !== 0, size: 2 ** ((value & 7) + 4) };
}

export function encodeCoap(packet: CoapPacket): Buffer {
  const { type, code, messageId, token, options, payload } = packet;
  const [codeClass = 0, detail = 0] = code.split(".").map(Number);
  const head = Buffer.alloc(4);
  head.writeUInt8((1 << 6) | (TYPES.indexOf(type) << 4) | token.length, 0);
  head.writeUInt8((codeClass << 5) | detail, 1);
  head.writeUInt16BE(messageId, 2);
  const parts = [head, token];
  let last = 0;
  for (const [number, value] of options.toSorted(([a], [b]) => a - b)) {
    const [deltaNibble, deltaMore] = extended(number - last);
    const [lengthNibble, lengthMore] = extended(value.length);
    parts.push(Buffer.of((deltaNibble << 4) | lengthNibble), deltaMore, lengthMore, value);
    last = number;
  }
  if (payload.length > 0) parts.push(Buffer.of(0xff), payload);
  return Buffer.concat(parts);
}

function extended(value: number): [nibble: number, more: Buffer] {
  if (value < 13) return [value, Buffer.alloc(0)];
  if (value < 269) return [13, Buffer.of(value - 13)];
  const more = Buffer.alloc(2);
  more.writeUInt16BE(value - 269);
  return [14, more];
}

/** Throws where the bytes are no CoAP message: nothing of ours may send one. */
export function decodeCoap(datagram: Buffer): CoapPacket {
  const first = datagram.readUInt8(0);
  const tokenLength = first & 15;
  if (first >> 6 !== 1 || tokenLength > 8) throw new Error(`no CoAP: ${datagram.toString("hex")}`);
  const code = datagram.readUInt8(1);
  const token = Buffer.from(datagram.subarray(4, 4 + tokenLength));
  if (token.length !== tokenLength) throw new Error(`cut token: ${datagram.toString("hex")}`);
  const reader = { datagram, at: 4 + tokenLength };
  const options: [number, Buffer][] = [];
  let number = 0;
  while (reader.at < datagram.length && datagram[reader.at] !== 0xff) {
    const head = datagram.readUInt8(reader.at++);
    number += readExtended(reader, head >> 4);
    const length = readExtended(reader, head & 15);
    const value = datagram.subarray(reader.at, reader.at + length);
    if (value.length !== length) throw new Error(`cut option: ${datagram.toString("hex")}`);
    reader.at += length;
    options.push([number, Buffer.from(value)]);
  }
  const payload = Buffer.from(datagram.subarray(reader.at + 1));
  if (reader.at < datagram.length && payload.length === 0)
    throw new Error(`marker without payload: ${datagram.toString("hex")}`);
  return {
    type: TYPES[(first >> 4) & 3] ?? "RST",
    code: `${code >> 5}.${String(code & 31).padStart(2, "0")}`,
    messageId: datagram.readUInt16BE(2),
    token,
    options,
    payload,
  };
}

function readExtended(reader: { readonly datagram: Buffer; at: number }, nibble: number): number {
  if (nibble < 13) return nibble;
  if (nibble === 15) throw new Error(`reserved nibble: ${reader.datagram.toString("hex")}`);
  if (nibble === 13) return 13 + reader.datagram.readUInt8(reader.at++);
  reader.at += 2;
  return 269 + reader.datagram.readUInt16BE(reader.at - 2);
}
