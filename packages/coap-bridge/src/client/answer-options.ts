import { type CoapOption, OptionNumber } from "../wire/coap-message.ts";
import { optionValue, uintOption } from "../wire/options.ts";

/** Max-Age in seconds; undefined where the server said none. */
export function maxAgeOf(options: readonly CoapOption[]): number | undefined {
  return uintOption(options, OptionNumber.maxAge, 4);
}

/** The number of a notification; undefined: this is none. */
export function observeOf(options: readonly CoapOption[]): number | undefined {
  return uintOption(options, OptionNumber.observe, 3);
}

/** Bytes of the whole representation, where the server says. */
export function size2Of(options: readonly CoapOption[]): number | undefined {
  return uintOption(options, OptionNumber.size2, 4);
}

/** Content-Format; undefined where the server said none. */
export function formatOf(options: readonly CoapOption[]): number | undefined {
  return uintOption(options, OptionNumber.contentFormat, 2);
}

/** The entity tag as bytes, which need be no text; a copy that outlives the datagram. */
export function etagOf(options: readonly CoapOption[]): Uint8Array | undefined {
  const value = optionValue(options, OptionNumber.etag);
  // 1 to 8 bytes (RFC 7252 section 5.10.6); an elective option outside its range is ignored.
  return value === undefined || value.length === 0 || value.length > 8 ? undefined : Uint8Array.from(value);
}
