import type { CoapOption } from "./coap-message.ts";
import { readUint } from "./option-value.ts";

/** What an absent Max-Age says, in seconds (RFC 7252 section 5.10.5). */
export const DEFAULT_MAX_AGE = 60;

/** The first option of this number, in options that are in ascending order. */
export function findOption(options: readonly CoapOption[], number: number): CoapOption | undefined {
  for (const option of options) {
    if (option.number >= number) return option.number === number ? option : undefined;
  }
  return undefined;
}

/** The value of the first option of this number. */
export const optionValue = (options: readonly CoapOption[], number: number): Uint8Array | undefined =>
  findOption(options, number)?.value;

/**
 * The uint in the first option of this number. Undefined: there is none, or one that is longer than `longest` bytes, which
 * counts as not there where it is elective (RFC 7252 section 5.4.3).
 */
export function uintOption(
  options: readonly CoapOption[],
  number: number,
  longest: number,
): number | undefined {
  const value = optionValue(options, number);
  return value === undefined ? undefined : readUint(value, longest);
}

/** The options with one more, in its place; those of the same number stay before it. */
export function withOption(options: readonly CoapOption[], added: CoapOption): readonly CoapOption[] {
  const at = options.findIndex(({ number }) => number > added.number);
  return at < 0 ? [...options, added] : options.toSpliced(at, 0, added);
}

/** The options without those of a number. */
export function withoutOption(options: readonly CoapOption[], number: number): readonly CoapOption[] {
  return options.filter((option) => option.number !== number);
}
