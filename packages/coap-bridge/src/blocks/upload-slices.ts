import {
  type BlockOption,
  decodeBlock,
  encodeBlock,
  LARGEST_SZX,
  offsetOf,
  sizeOfSzx,
} from "../wire/block-option.ts";
import { type CoapMessage, type CoapOption, OptionNumber } from "../wire/coap-message.ts";
import { Response } from "../wire/code.ts";
import { uintValue } from "../wire/option-value.ts";
import { optionValue } from "./whole.ts";

/** One request of an upload: what to add to its options, and its payload. */
export interface UploadSlice {
  /** Block1, and Size1 with the first; none where the body fits one block. In ascending order. */
  readonly options: readonly CoapOption[];
  readonly payload: Uint8Array;
}

/** What a response is to a body that is being sent. */
export type UploadStep =
  /** Send this next. */
  | { readonly is: "next"; readonly slice: UploadSlice }
  /** This response is the final one: success, or a refusal to be told. */
  | { readonly is: "done" }
  /** An answer to a block sent before: not of use. */
  | { readonly is: "ignored" }
  /** The server speaks of blocks that were not sent, or 2.31 after the last one. */
  | { readonly is: "failed"; readonly reason: "block-invalid" };

/** A body and how to cut it. */
export interface UploadSlicesOptions {
  readonly body: Uint8Array;
  /** Size exponent, 0 to 6. Default 6: 1,024 bytes. */
  readonly szx?: number;
  /** Use Block1 even where the body fits one block. Default false. */
  readonly always?: boolean;
  /** How often it may be begun anew: 4.08 (blocks lost), or 4.13 with a smaller size. Default 2. */
  readonly restarts?: number;
}

/** One body being sent block by block (RFC 7959 section 2.5). */
export interface UploadSlices {
  /** What to send first. */
  first(): UploadSlice;
  /** To be given every response. A server may ask for smaller blocks at any time. */
  take(response: Pick<CoapMessage, "code" | "options">): UploadStep;
}

/** Makes slices of a body; its bytes must not change meanwhile. */
export function createUploadSlices(options: UploadSlicesOptions): UploadSlices {
  const { body, always = false } = options;
  let szx = options.szx ?? LARGEST_SZX;
  let restartsLeft = options.restarts ?? 2;
  const inBlocks = always || body.length > sizeOfSzx(szx);
  let sent: BlockOption = { num: 0, more: false, szx };

  const sliceAt = (offset: number): UploadSlice => {
    const end = Math.min(offset + sizeOfSzx(szx), body.length);
    sent = { num: offset >> (szx + 4), more: end < body.length, szx };
    const block1 = { number: OptionNumber.block1, value: encodeBlock(sent) };
    const size1 = { number: OptionNumber.size1, value: uintValue(body.length) };
    return { options: offset === 0 ? [block1, size1] : [block1], payload: body.subarray(offset, end) };
  };
  const next = (offset: number): UploadStep => ({ is: "next", slice: sliceAt(offset) });
  const restart = (): UploadStep => {
    restartsLeft -= 1;
    return restartsLeft < 0 ? { is: "done" } : next(0);
  };
  const goOn = (answered: BlockOption | undefined): UploadStep => {
    if (answered === undefined || !sent.more) return { is: "failed", reason: "block-invalid" };
    if (answered.num !== sent.num)
      return answered.num < sent.num ? { is: "ignored" } : { is: "failed", reason: "block-invalid" };
    const offset = offsetOf(sent) + sizeOfSzx(sent.szx);
    // Blocks of the smaller size are counted from the same bytes (RFC 7959 section 2.3).
    szx = Math.min(szx, answered.szx);
    return next(offset);
  };
  return {
    first: () => (inBlocks ? sliceAt(0) : { options: [], payload: body }),
    take({ code, options: carried }) {
      const value = optionValue(carried, OptionNumber.block1);
      const answered = value === undefined ? undefined : decodeBlock(value);
      if (code === Response.continue) return goOn(answered);
      if (code === Response.requestEntityIncomplete && inBlocks) return restart();
      if (code === Response.requestEntityTooLarge && answered !== undefined && answered.szx < szx) {
        szx = answered.szx;
        return restart();
      }
      return { is: "done" };
    },
  };
}
