import { parse } from "coap-packet";
import type { CoapOption } from "../../src/wire/coap-message.ts";

const HEADER = [0x40, 0x45, 0x00, 0x01];
const PAYLOAD_MARKER = 0xff;

/** Reads what follows a token. Option numbers are read here: the library says names for those it knows. */
export function decodeTail(tail: Uint8Array = new Uint8Array(0)): {
  readonly options: readonly CoapOption[];
  readonly payload: Uint8Array;
} {
  // The other implementation must be able to read it at all.
  const { payload } = parse(Buffer.from([...HEADER, ...tail]));
  const options: CoapOption[] = [];
  let at = 0;
  let number = 0;
  const part = (nibble: number): number => {
    if (nibble < 13) return nibble;
    const extra = nibble === 13 ? (tail[at] ?? 0) + 13 : ((tail[at] ?? 0) << 8) + (tail[at + 1] ?? 0) + 269;
    at += nibble === 13 ? 1 : 2;
    return extra;
  };
  while (at < tail.length && tail[at] !== PAYLOAD_MARKER) {
    const first = tail[at] ?? 0;
    at += 1;
    number += part(first >> 4);
    const length = part(first & 0x0f);
    options.push({ number, value: tail.slice(at, at + length) });
    at += length;
  }
  return { options, payload: payload ?? new Uint8Array(0) };
}
