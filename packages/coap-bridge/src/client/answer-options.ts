import { type CoapOption, OptionNumber } from "../wire/coap-message.ts";
import { type Code, Response } from "../wire/code.ts";
import { DEFAULT_MAX_AGE, optionValue, uintOption } from "../wire/options.ts";

/** Max-Age in seconds; undefined where the server said none. */
export function maxAgeOf(options: readonly CoapOption[]): number | undefined {
  return uintOption(options, OptionNumber.maxAge, 4);
}

/** The longest that a Max-Age of 4.29 or 5.03 is obeyed, in milliseconds. */
const LONGEST_OBEYED_MS = 3_600_000;

/**
 * Milliseconds after which a server that is overloaded wants to be asked again, at least a second: the Max-Age of a 4.29
 * (RFC 8516) or 5.03 (RFC 7252 section 5.9.3.4). Undefined: it said something else.
 */
export function askedToWaitMs(code: Code, options: readonly CoapOption[]): number | undefined {
  if (code !== Response.tooManyRequests && code !== Response.serviceUnavailable) return undefined;
  const said = (maxAgeOf(options) ?? DEFAULT_MAX_AGE) * 1_000;
  return Math.min(Math.max(said, 1_000), LONGEST_OBEYED_MS);
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
