import { type BlockOption, encodeBlock, offsetOf, sizeOfSzx } from "../wire/block-option.ts";
import { OptionNumber } from "../wire/coap-message.ts";
import { type Code, Response } from "../wire/code.ts";
import { uintValue } from "../wire/option-value.ts";
import { withOption } from "../wire/options.ts";
import { createHeld } from "./held.ts";
import {
  createUploadRoom,
  type Filling,
  type UploadBounds,
  type UploadLoss,
  type UploadOpening,
} from "./upload-room.ts";
import { plainAnswer, type Whole } from "./whole.ts";

/** A body that came by Block1 and is complete; to be handed back with its answer. */
export interface Upload {
  readonly last: BlockOption;
  /** Tells the answer to copies of the last block that came meanwhile or come later. */
  readonly answered: (answer: Whole) => void;
}

/** One block of a request's body. */
export interface UploadBlock extends UploadOpening {
  readonly block: BlockOption;
  readonly payload: Uint8Array;
  /** Size1, where said. */
  readonly announced?: number;
}

/** What became of a block. */
export type TakenBlock =
  | { readonly is: "body"; readonly payload: Uint8Array; readonly upload: Upload }
  | { readonly is: "answer"; readonly answer: Whole }
  | { readonly is: "again"; readonly answer: Promise<Whole> };

/** Bodies that come by Block1 (RFC 7959 section 2.5), atomically: a method runs on the whole body or not at all. */
export interface Uploads extends Disposable {
  take(block: UploadBlock): TakenBlock;
  count(): number;
  bytes(): number;
}

/** The last block of an upload that was completed: it may come again. */
interface Finished {
  readonly offset: number;
  readonly payload: Uint8Array;
  readonly answer: Promise<Whole>;
}

/** The answer with the Block1 option of the block it answers (RFC 7959 section 2.3). */
export function withBlock1(whole: Whole, block: BlockOption): Whole {
  const option = { number: OptionNumber.block1, value: encodeBlock(block) };
  return { ...whole, options: withOption(whole.options, option) };
}

/** 4.13, and what would fit (RFC 7959 section 2.9.3). */
export function tooLarge(most: number): Whole {
  return plainAnswer(Response.requestEntityTooLarge, [
    { number: OptionNumber.size1, value: uintValue(most) },
  ]);
}

const answer = (whole: Whole): TakenBlock => ({ is: "answer", answer: whole });
const goOnSending = (block: BlockOption): TakenBlock =>
  answer(withBlock1(plainAnswer(Response.continue), block));
const samePart = (filling: Filling, offset: number, payload: Uint8Array): boolean =>
  offset + payload.length <= filling.length &&
  Buffer.compare(filling.bytes.subarray(offset, offset + payload.length), payload) === 0;
const fullSize = ({ block, payload }: UploadBlock): boolean =>
  block.more ? payload.length === sizeOfSzx(block.szx) : payload.length <= sizeOfSzx(block.szx);

/** Makes a place for uploads. */
export function createUploads(bounds: UploadBounds): Uploads {
  const room = createUploadRoom(bounds);
  const finished = createHeld<Finished>({ clock: bounds.clock, idleMs: bounds.idleMs, idle: () => {} });

  /** Ends the upload and says why. */
  const fail = (part: UploadBlock, why: UploadLoss, whole: Whole): TakenBlock => {
    room.close(part.transfer, why);
    return answer(whole);
  };
  const incomplete = (part: UploadBlock, why: "gap" | "different"): TakenBlock =>
    fail(part, why, plainAnswer(Response.requestEntityIncomplete, [], INCOMPLETE[why]));
  const noRoom = (code: Code): TakenBlock => {
    const seconds = uintValue(Math.ceil(bounds.idleMs / 1000));
    return answer(plainAnswer(code, [{ number: OptionNumber.maxAge, value: seconds }], "too many uploads"));
  };
  const complete = ({ endpoint, transfer, block, payload }: UploadBlock, body: Uint8Array): TakenBlock => {
    room.close(transfer);
    while (finished.count(endpoint) >= bounds.each) finished.remove(finished.oldest(endpoint)?.key ?? "");
    while (finished.count() >= bounds.most) finished.remove(finished.oldest()?.key ?? "");
    const { promise, resolve } = Promise.withResolvers<Whole>();
    const entry = { offset: offsetOf(block), payload: payload.slice(), answer: promise };
    finished.add(endpoint, transfer, entry);
    const answered = (whole: Whole): void => {
      resolve(whole);
      // What is large is not kept for a copy that hardly ever comes: that is 4.08, and its method does not run again.
      const isLarge = whole.payload.length > MOST_KEPT_OF_AN_ANSWER;
      if (isLarge && finished.touch(transfer) === entry) finished.remove(transfer);
    };
    return { is: "body", payload: body, upload: { last: block, answered } };
  };
  /** The next block in order. */
  const append = (part: UploadBlock, filling: Filling): TakenBlock => {
    const { block, payload, transfer, most } = part;
    if (filling.length + payload.length > most) return fail(part, "too-large", tooLarge(most));
    const refusal = room.append(transfer, payload);
    if (refusal !== undefined) return noRoom(refusal);
    // A copy of the right size: what is kept of it for long must not keep the room it grew in.
    return block.more ? goOnSending(block) : complete(part, filling.bytes.slice(0, filling.length));
  };
  const begin = (part: UploadBlock): TakenBlock => {
    const { block, payload, transfer, most, announced = 0 } = part;
    room.close(transfer, "restarted");
    finished.remove(transfer);
    if (Math.max(announced, payload.length) > most) return answer(tooLarge(most));
    if (!block.more) return { is: "body", payload, upload: { last: block, answered: () => {} } };
    const refusal = room.open(part) ?? room.append(transfer, payload);
    return refusal === undefined ? goOnSending(block) : noRoom(refusal);
  };
  /** A block after the first: the next one, one that came before, or none we can use. */
  const goOn = (part: UploadBlock): TakenBlock => {
    const offset = offsetOf(part.block);
    const filling = room.find(part.transfer);
    if (filling === undefined)
      return repeated(part, finished.touch(part.transfer)) ?? incomplete(part, "gap");
    if (offset > filling.length) return incomplete(part, "gap");
    if (part.format !== filling.format) return incomplete(part, "different");
    if (offset === filling.length) return append(part, filling);
    const same = part.block.more && samePart(filling, offset, part.payload);
    return same ? goOnSending(part.block) : incomplete(part, "different");
  };
  return {
    take(part) {
      if (!fullSize(part)) return fail(part, "malformed", plainAnswer(Response.badRequest, [], WRONG_SIZE));
      return part.block.num === 0 ? begin(part) : goOn(part);
    },
    count: room.count,
    bytes: room.bytes,
    [Symbol.dispose]() {
      room[Symbol.dispose]();
      finished[Symbol.dispose]();
    },
  };
}

const MOST_KEPT_OF_AN_ANSWER = 1024;
const INCOMPLETE = { gap: "blocks are missing", different: "blocks differ" } as const;
const WRONG_SIZE = "block of another size than said";

/** A last block that comes again after it completed its upload. */
function repeated(part: UploadBlock, finished: Finished | undefined): TakenBlock | undefined {
  if (finished === undefined || part.block.more || offsetOf(part.block) !== finished.offset) return undefined;
  if (Buffer.compare(finished.payload, part.payload) !== 0) return undefined;
  return { is: "again", answer: finished.answer };
}
