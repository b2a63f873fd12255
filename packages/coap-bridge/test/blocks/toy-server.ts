import { createFakeClock, type FakeClock } from "@nomq/core/testing";
import type { BlockLimits } from "../../src/blocks/block-limits.ts";
import { createServerBlocks, type ServerBlocks } from "../../src/blocks/server-blocks.ts";
import type { Whole } from "../../src/blocks/whole.ts";
import type { IncomingRequest, Remote } from "../../src/messaging/messaging.ts";
import { type BlockOption, decodeBlock, encodeBlock } from "../../src/wire/block-option.ts";
import { type CoapMessage, type CoapOption, MessageType, OptionNumber } from "../../src/wire/coap-message.ts";
import { type Code, codeText, Method, Response } from "../../src/wire/code.ts";
import { uintValue } from "../../src/wire/option-value.ts";
import { findOption } from "../../src/wire/options.ts";

/** What a test says of a request; the rest is made up. */
export interface Asking {
  readonly from?: string;
  /** Default true. */
  readonly proven?: boolean;
  readonly code?: Code;
  readonly path?: string;
  readonly options?: readonly CoapOption[];
  readonly payload?: Uint8Array;
  readonly block1?: BlockOption;
  readonly block2?: BlockOption;
}

/** A server of one resource per path, with nothing but the block-wise layer in front. */
export interface ToyServer {
  readonly clock: FakeClock;
  readonly blocks: ServerBlocks;
  /** Bodies of requests that ran, oldest first. */
  readonly ran: { readonly code: Code; readonly body: Uint8Array }[];
  /** What GET and POST answer, by path; `etag` absent: none of its own. */
  readonly values: Map<string, Pick<Whole, "payload" | "options" | "expiresInMs">>;
  ask(asking: Asking): Promise<CoapMessage>;
}

export const MOST = 100_000;
const NOTHING = new Uint8Array(0);

export const block = (num: number, more: boolean, szx: number): BlockOption => ({ num, more, szx });
export const etag = (text: string): CoapOption => ({ number: OptionNumber.etag, value: Buffer.from(text) });
export const tag = (text: string): CoapOption => ({
  number: OptionNumber.requestTag,
  value: Buffer.from(text),
});
export const uint = (number: number, value: number): CoapOption => ({ number, value: uintValue(value) });

/** A body that is different at every offset. */
export const bodyOf = (length: number, seed = 0): Uint8Array =>
  Uint8Array.from({ length }, (_, at) => (at * 31 + (at >> 8) * 7 + seed * 101) & 0xff);

/** What an answer says of a block, as RFC 7959 writes it: `3/1/64`. */
export function said(answer: CoapMessage, number: number): string | undefined {
  const value = findOption(answer.options, number)?.value;
  const found = value && decodeBlock(value);
  return found && `${found.num}/${found.more ? 1 : 0}/${16 << found.szx}`;
}

export const codeOf = (answer: CoapMessage): string => codeText(answer.code);

let nextId = 1;

export function requestOf(asking: Asking): IncomingRequest {
  const { from = "one", code = Method.get, path = "big", payload = NOTHING, block1, block2 } = asking;
  // Tests look at keys only; nothing is sent.
  const remote = { host: from, port: 1, key: from, via: "toy", proven: asking.proven ?? true } as Remote;
  const options = [
    ...(asking.options ?? []),
    { number: OptionNumber.uriPath, value: Buffer.from(path) },
    ...(block1 === undefined ? [] : [{ number: OptionNumber.block1, value: encodeBlock(block1) }]),
    ...(block2 === undefined ? [] : [{ number: OptionNumber.block2, value: encodeBlock(block2) }]),
  ].sort((one, other) => one.number - other.number);
  nextId += 1;
  return {
    type: MessageType.confirmable,
    code,
    messageId: nextId & 0xffff,
    // Another for every request: RFC 7959 leaves tokens free.
    token: Uint8Array.of(nextId & 0xff, nextId >> 8),
    options,
    payload,
    from: remote,
    toGroup: false,
    fingerprint: nextId,
  };
}

export function createToyServer(limits: BlockLimits = {}): ToyServer {
  const clock = createFakeClock();
  const blocks = createServerBlocks({ clock, limits });
  const ran: ToyServer["ran"] = [];
  const values: ToyServer["values"] = new Map();

  const run = (path: string, request: IncomingRequest, body: Uint8Array): Whole => {
    if (request.code !== Method.get) ran.push({ code: request.code, body: body.slice() });
    if (request.code === Method.put) return { code: Response.changed, options: [], payload: NOTHING };
    const value = values.get(path);
    return value === undefined
      ? { code: Response.notFound, options: [], payload: NOTHING }
      : { code: Response.content, ...value };
  };
  const answerTo = (asking: Asking, request: IncomingRequest): Whole | Promise<Whole> => {
    const received = blocks.receive(request, MOST);
    if (received.is !== "body") return received.answer;
    return blocks.answer(request, run(asking.path ?? "big", request, received.payload), received.upload);
  };
  return {
    clock,
    blocks,
    ran,
    values,
    async ask(asking) {
      const request = requestOf(asking);
      const { code, options, payload } = await answerTo(asking, request);
      const numbers = options.map(({ number }) => number);
      if (numbers.some((number, at) => number < (numbers[at - 1] ?? 0)))
        throw new Error("options out of order");
      return {
        type: MessageType.acknowledgement,
        messageId: request.messageId,
        token: request.token,
        code,
        options,
        payload,
      };
    },
  };
}
