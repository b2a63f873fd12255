import { type CoapOption, OptionNumber } from "./coap-message.ts";

/** Bounds of one option's value in bytes, and whether it may come more than once (the RFCs' tables of options). */
interface OptionRule {
  readonly least: number;
  readonly most: number;
  readonly repeatable: boolean;
}

const once = (least: number, most: number): OptionRule => ({ least, most, repeatable: false });
const often = (least: number, most: number): OptionRule => ({ least, most, repeatable: true });

const RULES: ReadonlyArray<readonly [number: number, rule: OptionRule]> = [
  [OptionNumber.ifMatch, often(0, 8)],
  [OptionNumber.uriHost, once(1, 255)],
  [OptionNumber.etag, often(1, 8)],
  [OptionNumber.ifNoneMatch, once(0, 0)],
  [OptionNumber.observe, once(0, 3)],
  [OptionNumber.uriPort, once(0, 2)],
  [OptionNumber.locationPath, often(0, 255)],
  [OptionNumber.uriPath, often(0, 255)],
  [OptionNumber.contentFormat, once(0, 2)],
  [OptionNumber.maxAge, once(0, 4)],
  [OptionNumber.uriQuery, often(0, 255)],
  [OptionNumber.hopLimit, once(1, 1)],
  [OptionNumber.accept, once(0, 2)],
  [OptionNumber.locationQuery, often(0, 255)],
  [OptionNumber.block2, once(0, 3)],
  [OptionNumber.block1, once(0, 3)],
  [OptionNumber.size2, once(0, 4)],
  [OptionNumber.proxyUri, once(1, 1034)],
  [OptionNumber.proxyScheme, once(1, 255)],
  [OptionNumber.size1, once(0, 4)],
  [OptionNumber.echo, once(1, 40)],
  [OptionNumber.noResponse, once(0, 1)],
  [OptionNumber.requestTag, often(0, 8)],
];

const RULE_OF: readonly (OptionRule | undefined)[] = byNumber();

function byNumber(): (OptionRule | undefined)[] {
  const rules: (OptionRule | undefined)[] = Array.from({ length: OptionNumber.requestTag + 1 });
  for (const [number, rule] of RULES) rules[number] = rule;
  return rules;
}

/** Odd numbers must be understood or the message be refused (RFC 7252 section 5.4.6). */
const isCritical = (number: number): boolean => (number & 1) === 1;

/** Options as they count, or the number of the first one because of which the message must be refused. */
export type CheckedOptions =
  | { readonly is: "fine"; readonly options: readonly CoapOption[] }
  | { readonly is: "refused"; readonly number: number };

/**
 * What RFC 7252 section 5.4 makes of options we do not know, of values with a length outside their bounds (the same,
 * 5.4.3) and of those that come too often (5.4.5): elective ones are left out, critical ones refuse the message.
 */
export function checkOptions(options: readonly CoapOption[]): CheckedOptions {
  let last = -1;
  for (const option of options) {
    if (!isFine(option, last)) return checkEach(options);
    last = option.number;
  }
  return { is: "fine", options };
}

function isFine({ number, value }: CoapOption, last: number): boolean {
  const rule = RULE_OF[number];
  if (rule === undefined || (number === last && !rule.repeatable)) return false;
  return value.length >= rule.least && value.length <= rule.most;
}

function checkEach(options: readonly CoapOption[]): CheckedOptions {
  const kept: CoapOption[] = [];
  let last = -1;
  for (const option of options) {
    if (isFine(option, last)) kept.push(option);
    else if (isCritical(option.number)) return { is: "refused", number: option.number };
    last = option.number;
  }
  return { is: "fine", options: kept };
}
