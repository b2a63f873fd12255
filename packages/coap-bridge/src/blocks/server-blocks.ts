import { type Clock, createTally } from "@nomq/core";
import type { IncomingRequest } from "../messaging/messaging.ts";
import { type BlockOption, decodeBlock, RESERVED_SZX } from "../wire/block-option.ts";
import { type CoapOption, OptionNumber } from "../wire/coap-message.ts";
import { type Code, classOf, Method, Response } from "../wire/code.ts";
import { optionValue, uintOption, withoutOption } from "../wire/options.ts";
import { type BlockLimits, DEFAULT_BLOCK_LIMITS } from "./block-limits.ts";
import { askedSzx, cutBlock, exceedsBlock } from "./cut.ts";
import { createSnapshots, withEtag } from "./snapshots.ts";
import { transferKey } from "./transfer-key.ts";
import type { UploadLoss } from "./upload-room.ts";
import { createUploads, tooLarge, type Upload, withBlock1 } from "./uploads.ts";
import { plainAnswer, type Whole } from "./whole.ts";

/** What a request is to the block-wise layer. */
export type Received =
  /** All of the body is here: run the method, then {@link ServerBlocks.answer}. `upload` only after Block1. */
  | { readonly is: "body"; readonly payload: Uint8Array; readonly upload?: Upload }
  /** This is the answer to this datagram: 2.31, a further block of a response, 4.00, 4.02, 4.08, 4.13, 4.29, 5.03. */
  | { readonly is: "answer"; readonly answer: Whole }
  /** The last block of an upload came again: this is what its first copy is or was answered. */
  | { readonly is: "again"; readonly answer: Promise<Whole> };

/** What {@link createServerBlocks} needs. */
export interface ServerBlocksOptions {
  readonly clock: Clock;
  readonly limits?: BlockLimits;
}

/** What is held now, and sums since it was made. */
export interface BlockCounts {
  readonly uploads: number;
  readonly uploadBytes: number;
  readonly snapshots: number;
  readonly snapshotBytes: number;
  /** Uploads that did not come to their end, by {@link UploadLoss}. */
  readonly uploadsLost: Readonly<Record<string, number>>;
}

/** Block-wise transfer at a server (RFC 7959). What half-done transfers need is bounded in count, bytes and time. */
export interface ServerBlocks extends Disposable {
  /**
   * To be asked for every request that {@link concernsBlocks}, after its right to the resource was checked (each block has
   * to be allowed). `most` is the largest body in bytes.
   */
  receive(request: IncomingRequest, most: number): Received;
  /**
   * What goes into the one datagram that answers the request: the response itself, or the block of it that was asked for,
   * with ETag, Block2, Size2 and Block1 where they belong. One that carries Block2 already was cut by who made it.
   */
  answer(request: IncomingRequest, whole: Whole, upload?: Upload): Whole;
  /**
   * An observer has been sent the {@link firstBlock} of this response (made by {@link withEtag}), so that it can fetch the
   * others though a newer version has come. `transfer` is {@link transferKey} of its registration.
   */
  begun(endpoint: string, transfer: string, whole: Whole): void;
  counts(): BlockCounts;
}

/** Whether the block-wise layer must see a request: it carries a Block option. Its plain body must be within bounds anyway. */
export function concernsBlocks({ options }: Pick<IncomingRequest, "options">): boolean {
  for (const { number } of options) {
    if (number === OptionNumber.block1 || number === OptionNumber.block2) return true;
  }
  return false;
}

/** Methods that carry a body (RFC 7252, RFC 8132). */
const WITH_BODY: ReadonlySet<Code> = new Set([
  Method.post,
  Method.put,
  Method.fetch,
  Method.patch,
  Method.ipatch,
]);

type Asked = { readonly block?: BlockOption } | { readonly refused: Whole };

/** The block a request asks for or carries in an option; 4.02 for one that is none, 4.00 for the reserved size. */
function readBlock(options: readonly CoapOption[], number: number): Asked {
  const value = optionValue(options, number);
  if (value === undefined) return {};
  const block = decodeBlock(value);
  if (block === undefined) return { refused: plainAnswer(Response.badOption, [], "block option too long") };
  if (block.szx === RESERVED_SZX) return { refused: plainAnswer(Response.badRequest, [], "block size 7") };
  return { block };
}

const answerWith = (answer: Whole): Received => ({ is: "answer", answer });
const refusal = (code: Code, why: string): Received => answerWith(plainAnswer(code, [], why));
const wantsSize2 = (options: readonly CoapOption[]): boolean =>
  optionValue(options, OptionNumber.size2) !== undefined;

/** Makes the block-wise layer of a server; nothing happens before its first request. */
export function createServerBlocks({ clock, limits = {} }: ServerBlocksOptions): ServerBlocks {
  const bounds = { ...DEFAULT_BLOCK_LIMITS, ...limits };
  const lost = createTally();
  const uploads = createUploads({
    clock,
    most: bounds.uploads,
    each: bounds.uploadsEach,
    bytes: bounds.uploadBytes,
    bytesEach: bounds.uploadBytesEach,
    idleMs: bounds.uploadIdleMs,
    totalMs: bounds.uploadTotalMs,
    lost: (why) => lost.add(why),
  });
  const snapshots = createSnapshots({
    clock,
    most: bounds.snapshots,
    each: bounds.snapshotsEach,
    bytes: bounds.snapshotBytes,
    idleMs: bounds.snapshotIdleMs,
  });

  /** A further block of a response that was begun. */
  const goOn = (request: IncomingRequest, asked: BlockOption): Received | undefined => {
    if (optionValue(request.options, OptionNumber.observe) !== undefined && request.code === Method.get)
      return refusal(Response.badRequest, "observe with a block number");
    const whole = snapshots.find(transferKey(request));
    if (whole !== undefined) {
      // Only the first block of a notification has an order number (RFC 7959 section 2.6): this GET does not register.
      const options = withoutOption(whole.options, OptionNumber.observe);
      return answerWith(cutBlock({ ...whole, options }, asked, wantsSize2(request.options)));
    }
    // Whatever changes something must not be run again for a block of its answer.
    return request.code === Method.get
      ? undefined
      : refusal(Response.requestEntityIncomplete, "answer is gone");
  };
  /** The block of a response that a request is answered with; whoever needs more of them can fetch this version. */
  const cut = (request: IncomingRequest, whole: Whole): Whole => {
    if (optionValue(whole.options, OptionNumber.block2) !== undefined) return whole;
    const value = optionValue(request.options, OptionNumber.block2);
    const szx = askedSzx(request.options);
    if (classOf(whole.code) !== 2 || (value === undefined && !exceedsBlock(whole, szx))) return whole;
    const { num = 0 } = (value === undefined ? undefined : decodeBlock(value)) ?? {};
    if (!exceedsBlock(whole, szx))
      return cutBlock(whole, { num, more: false, szx }, wantsSize2(request.options));
    const marked = withEtag(whole);
    snapshots.begin(request.from.key, transferKey(request), marked);
    return cutBlock(marked, { num, more: false, szx }, num === 0 || wantsSize2(request.options));
  };
  const take = (request: IncomingRequest, block: BlockOption, most: number): Received => {
    const { options, payload, from } = request;
    const announced = uintOption(options, OptionNumber.size1, 4);
    const contentFormat = optionValue(options, OptionNumber.contentFormat);
    const taken = uploads.take({
      endpoint: from.key,
      proven: from.proven,
      transfer: transferKey(request),
      block,
      payload,
      format: contentFormat === undefined ? "none" : Buffer.from(contentFormat).toString("hex"),
      ...(announced === undefined ? {} : { announced }),
      most,
    });
    if (taken.is !== "again") return taken;
    return { is: "again", answer: taken.answer.then((whole) => withBlock1(cut(request, whole), block)) };
  };
  return {
    receive(request, most) {
      const { options, payload, code } = request;
      const asked = readBlock(options, OptionNumber.block2);
      if ("refused" in asked) return answerWith(asked.refused);
      const carried = readBlock(options, OptionNumber.block1);
      if ("refused" in carried) return answerWith(carried.refused);
      const fetching = asked.block !== undefined && asked.block.num > 0;
      if (carried.block !== undefined) {
        if (!WITH_BODY.has(code)) return refusal(Response.badOption, "Block1 without a body");
        if (fetching) return refusal(Response.badRequest, "Block1 with a number in Block2");
        return take(request, carried.block, most);
      }
      if (payload.length > most) return answerWith(tooLarge(most));
      const further = fetching && asked.block !== undefined ? goOn(request, asked.block) : undefined;
      return further ?? { is: "body", payload };
    },
    answer(request, whole, upload) {
      upload?.answered(whole);
      return upload === undefined ? cut(request, whole) : withBlock1(cut(request, whole), upload.last);
    },
    begun: (endpoint, transfer, whole) => snapshots.begin(endpoint, transfer, whole),
    counts: () => ({
      uploads: uploads.count(),
      uploadBytes: uploads.bytes(),
      snapshots: snapshots.count(),
      snapshotBytes: snapshots.bytes(),
      uploadsLost: lost.read(),
    }),
    [Symbol.dispose]() {
      uploads[Symbol.dispose]();
      snapshots[Symbol.dispose]();
    },
  };
}
