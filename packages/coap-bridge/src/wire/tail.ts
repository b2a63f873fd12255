import type { CoapOption } from "./coap-message.ts";

const PAYLOAD_MARKER = 0xff;
/** Below: in the nibble itself; below the second: one byte more; else two bytes more (RFC 7252 section 3.1). */
const ONE_BYTE_FROM = 13;
const TWO_BYTES_FROM = 269;

/**
 * All of a message that follows its token: options (in ascending order of their numbers), marker and payload. It does
 * not depend on who gets the message, so one serves every reader of a value.
 */
export function encodeTail(options: readonly CoapOption[], payload?: Uint8Array): Uint8Array {
  const hasPayload = payload !== undefined && payload.length > 0;
  const tail = new Uint8Array(lengthOf(options) + (hasPayload ? payload.length + 1 : 0));
  let at = 0;
  let last = 0;
  for (const { number, value } of options) {
    at = writeOption(tail, at, { delta: number - last, value });
    last = number;
  }
  if (hasPayload) {
    tail[at] = PAYLOAD_MARKER;
    tail.set(payload, at + 1);
  }
  return tail;
}

function lengthOf(options: readonly CoapOption[]): number {
  let length = 0;
  let last = 0;
  for (const { number, value } of options) {
    if (number < last) throw new RangeError("options must be in ascending order of their numbers");
    length += 1 + extra(number - last) + extra(value.length) + value.length;
    last = number;
  }
  return length;
}

const extra = (part: number): number => (part < ONE_BYTE_FROM ? 0 : part < TWO_BYTES_FROM ? 1 : 2);
const nibble = (part: number): number => (part < ONE_BYTE_FROM ? part : part < TWO_BYTES_FROM ? 13 : 14);

function writeOption(
  tail: Uint8Array,
  from: number,
  { delta, value }: { readonly delta: number; readonly value: Uint8Array },
): number {
  tail[from] = (nibble(delta) << 4) | nibble(value.length);
  const at = writeExtra(tail, writeExtra(tail, from + 1, delta), value.length);
  tail.set(value, at);
  return at + value.length;
}

function writeExtra(tail: Uint8Array, at: number, part: number): number {
  const bytes = extra(part);
  if (bytes === 1) tail[at] = part - ONE_BYTE_FROM;
  if (bytes === 2) {
    tail[at] = (part - TWO_BYTES_FROM) >> 8;
    tail[at + 1] = (part - TWO_BYTES_FROM) & 0xff;
  }
  return at + bytes;
}
