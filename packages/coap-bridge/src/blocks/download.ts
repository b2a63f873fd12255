import {
  type BlockOption,
  decodeBlock,
  LARGEST_SZX,
  offsetOf,
  RESERVED_SZX,
  sizeOfSzx,
} from "../wire/block-option.ts";
import { type CoapMessage, NO_BYTES, OptionNumber } from "../wire/coap-message.ts";
import { optionValue, uintOption } from "../wire/options.ts";

/** What a response is to a body that is being fetched. */
export type DownloadStep =
  /** The body is whole. `first` is the response that brought its first block: code and options are those of the body. */
  | { readonly is: "whole"; readonly body: Uint8Array; readonly first: CoapMessage }
  /** Ask for this block next, in the same request without Observe (RFC 7959 section 3.4). Block 0: it changed, start anew. */
  | { readonly is: "more"; readonly ask: BlockOption }
  /** Not of use: a block that came before. */
  | { readonly is: "ignored" }
  | { readonly is: "failed"; readonly reason: DownloadFailure };

/** Why a body could not be put together. */
export type DownloadFailure =
  /** More than the bound, or said to be. */
  | "too-large"
  /** A block option that is none, of a reserved size, or a block of another length than it says. */
  | "block-invalid"
  /** It changed each time before it was whole. */
  | "changing";

/** Bounds of {@link createDownload}. */
export interface DownloadOptions {
  /** Largest body in bytes. */
  readonly most: number;
  /** How often it may change before it is given up. Default 8. */
  readonly restarts?: number;
}

/** One body being put together from the blocks of responses with Block2 (RFC 7959 section 2.4). */
export interface Download {
  /** To be given every response to its requests, whatever the order; codes other than 2.xx are the caller's. */
  take(response: CoapMessage): DownloadStep;
  /** Bytes held. */
  bytes(): number;
}

type State =
  | { readonly is: "empty" }
  | { readonly is: "filling"; readonly first: CoapMessage; readonly parts: Uint8Array[]; length: number };

const IGNORED: DownloadStep = { is: "ignored" };
const failed = (reason: DownloadFailure): DownloadStep => ({ is: "failed", reason });
const sameBytes = (one: Uint8Array | undefined, other: Uint8Array | undefined): boolean =>
  Buffer.compare(one ?? NO_BYTES, other ?? NO_BYTES) === 0;
const etagOf = ({ options }: CoapMessage): Uint8Array | undefined => optionValue(options, OptionNumber.etag);

/**
 * Makes an empty download. Blocks of two versions never mix: another ETag starts it anew, and so does a value for which
 * Size2, Content-Format or code changed. A copy of a block that came before is ignored.
 */
export function createDownload({ most, restarts = 8 }: DownloadOptions): Download {
  let state: State = { is: "empty" };
  let restartsLeft = restarts;

  const begin = (first: CoapMessage, block: BlockOption): DownloadStep => {
    state = { is: "filling", first: copyOf(first), parts: [], length: 0 };
    return append(state, first, block);
  };
  const append = (
    filling: Extract<State, { is: "filling" }>,
    { payload }: CoapMessage,
    block: BlockOption,
  ): DownloadStep => {
    if (filling.length + payload.length > most) return failed("too-large");
    filling.parts.push(payload.slice());
    filling.length += payload.length;
    if (block.more)
      return { is: "more", ask: { num: filling.length / sizeOfSzx(block.szx), more: false, szx: block.szx } };
    return { is: "whole", body: Buffer.concat(filling.parts), first: filling.first };
  };
  const restart = (szx: number): DownloadStep => {
    state = { is: "empty" };
    restartsLeft -= 1;
    return restartsLeft < 0 ? failed("changing") : { is: "more", ask: { num: 0, more: false, szx } };
  };
  return {
    take(response) {
      const block = blockOf(response);
      if (block === undefined) return failed("block-invalid");
      if ((announced(response) ?? 0) > most) return failed("too-large");
      const offset = offsetOf(block);
      if (state.is === "empty") return offset === 0 ? begin(response, block) : restart(block.szx);
      if (!sameVersion(state.first, response))
        return offset === 0 ? begin(response, block) : restart(block.szx);
      if (offset < state.length) return IGNORED;
      return offset === state.length ? append(state, response, block) : IGNORED;
    },
    bytes: () => (state.is === "empty" ? 0 : state.length),
  };
}

/** Which block a response carries; without Block2 it is all there is. Undefined: none that can be used. */
function blockOf({ options, payload }: CoapMessage): BlockOption | undefined {
  const value = optionValue(options, OptionNumber.block2);
  if (value === undefined) return { num: 0, more: false, szx: LARGEST_SZX };
  const block = decodeBlock(value);
  if (block === undefined || block.szx === RESERVED_SZX) return undefined;
  const size = sizeOfSzx(block.szx);
  return (block.more ? payload.length === size : payload.length <= size) ? block : undefined;
}

const announced = ({ options }: CoapMessage): number | undefined =>
  uintOption(options, OptionNumber.size2, 4);

function sameVersion(first: CoapMessage, next: CoapMessage): boolean {
  const sameFormat = sameBytes(
    optionValue(first.options, OptionNumber.contentFormat),
    optionValue(next.options, OptionNumber.contentFormat),
  );
  const [one, other] = [announced(first), announced(next)];
  const sameSize = one === undefined || other === undefined || one === other;
  return first.code === next.code && sameFormat && sameSize && sameBytes(etagOf(first), etagOf(next));
}

/** The datagram it came in is not ours to keep. */
function copyOf(message: CoapMessage): CoapMessage {
  const options = message.options.map(({ number, value }) => ({ number, value: value.slice() }));
  return { ...message, token: message.token.slice(), options, payload: message.payload.slice() };
}
