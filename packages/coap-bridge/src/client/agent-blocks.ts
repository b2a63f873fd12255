import { type BlockOption, decodeBlock, LARGEST_SZX, sizeOfSzx } from "../wire/block-option.ts";
import { type CoapMessage, type CoapOption, OptionNumber } from "../wire/coap-message.ts";
import { optionValue } from "../wire/options.ts";

/** What the Agent's encoder puts into one datagram, and what of it is neither path nor query nor payload. */
const DATAGRAM_BYTES = 1_280;
const OTHER_BYTES = 64;
/** Header of an option of up to 255 bytes. */
const OPTION_BYTES = 3;

/** The largest blocks that go beside path and query in one datagram; undefined: none do. */
export function blockBeside(host: string, named: readonly Uint8Array[]): number | undefined {
  const bytes = named.reduce((sum, { length }) => sum + length + OPTION_BYTES, host.length);
  for (let szx = LARGEST_SZX; szx >= 0; szx -= 1) {
    if (bytes + OTHER_BYTES + sizeOfSzx(szx) <= DATAGRAM_BYTES) return szx;
  }
  return undefined;
}

/** RFC 7959 section 2.3: each answer names the block it answers, in blocks of ours or smaller ones. */
export function uploadFault(uploaded: BlockOption, response: CoapMessage): string | undefined {
  const block = blockOf(response.options, OptionNumber.block1);
  if (block === undefined) return uploaded.more ? "answered before the last block" : undefined;
  return block.num === uploaded.num && block.szx <= uploaded.szx ? undefined : "block-out-of-step";
}

/** A block option of an answer. */
export function blockOf(options: readonly CoapOption[], number: number): BlockOption | undefined {
  const value = optionValue(options, number);
  return value && decodeBlock(value);
}
