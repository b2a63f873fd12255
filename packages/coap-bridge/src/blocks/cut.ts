import {
  type BlockOption,
  decodeBlock,
  encodeBlock,
  LARGEST_SZX,
  offsetOf,
  sizeOfSzx,
} from "../wire/block-option.ts";
import { type CoapOption, OptionNumber } from "../wire/coap-message.ts";
import { Response } from "../wire/code.ts";
import { uintValue } from "../wire/option-value.ts";
import { optionValue, withOption } from "../wire/options.ts";
import { plainAnswer, type Whole } from "./whole.ts";

/** The size exponent a request asks for in Block2; 6, the largest, where it says nothing or no block size. */
export function askedSzx(options: readonly CoapOption[]): number {
  const value = optionValue(options, OptionNumber.block2);
  const asked = value === undefined ? undefined : decodeBlock(value);
  return asked === undefined || asked.szx > LARGEST_SZX ? LARGEST_SZX : asked.szx;
}

/** Whether a response is too large for one block of this size. */
export const exceedsBlock = (whole: Whole, szx: number): boolean => whole.payload.length > sizeOfSzx(szx);

/**
 * The first block of a notification or of an answer to a request that named no number: the response itself where it fits,
 * else with Block2 and Size2 (RFC 7959 section 2.6 and section 4).
 */
export function firstBlock(whole: Whole, szx: number): Whole {
  return exceedsBlock(whole, szx) ? cutBlock(whole, { num: 0, more: false, szx }, true) : whole;
}

/**
 * One block of a response, as its client counts: numbers and size are the client's, so that it may change to smaller blocks
 * while it goes (late negotiation, RFC 7959 section 2.4). Beyond the end: 4.00. A response without payload stays as it is.
 */
export function cutBlock(whole: Whole, asked: BlockOption, size2: boolean): Whole {
  const { payload } = whole;
  const offset = offsetOf(asked);
  if (payload.length === 0 && (offset === 0 || whole.code !== Response.content)) return whole;
  if (offset >= payload.length) return plainAnswer(Response.badRequest, [], "no such block");
  const end = offset + sizeOfSzx(asked.szx);
  const block = encodeBlock({ num: asked.num, more: end < payload.length, szx: asked.szx });
  let options = withOption(whole.options, { number: OptionNumber.block2, value: block });
  if (size2) options = withOption(options, { number: OptionNumber.size2, value: uintValue(payload.length) });
  return { ...whole, options, payload: payload.subarray(offset, end) };
}
