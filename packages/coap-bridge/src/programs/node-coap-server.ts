import { EventEmitter } from "node:events";
import type { Clock } from "@nomq/core";
import { createServer, type IncomingMessage, type OutgoingMessage, registerFormat } from "coap";
import { plainAnswer, type Whole } from "../blocks/whole.ts";
import type { IncomingRequest } from "../messaging/messaging.ts";
import { type CoapOption, OptionNumber } from "../wire/coap-message.ts";
import { classOf, Method, Response } from "../wire/code.ts";
import { registeredFormats } from "../wire/content-format.ts";
import { decodeMessage } from "../wire/decode.ts";
import { findOption } from "../wire/options.ts";
import { encodeTail } from "../wire/tail.ts";

/** What one request to node-coap needs. */
export interface NodeCoapOptions {
  readonly clock: Clock;
  /** Told what went wrong; the client is told 5.00. */
  readonly failed: (error: unknown) => void;
  readonly run: (request: IncomingMessage, response: OutgoingMessage) => void | Promise<void>;
}

/** Without an answer for so long it is 5.03, in ms. */
const DEADLINE_MS = 30_000;
/** What other layers have done already: blocks, observation, who is asked and how. */
const DONE_BEFORE: ReadonlySet<number> = new Set([
  OptionNumber.uriHost,
  OptionNumber.uriPort,
  OptionNumber.observe,
  OptionNumber.block1,
  OptionNumber.block2,
  OptionNumber.size1,
  OptionNumber.size2,
  OptionNumber.echo,
  OptionNumber.noResponse,
  OptionNumber.requestTag,
]);
const TOKEN = Uint8Array.of(1);
/** Version 1, non-confirmable, one byte of token: the message layer is not node-coap's here. */
const FIRST_BYTE = 0x51;
const FAILED: Whole = plainAnswer(Response.internalServerError);
const FORMAT_MISSING: Whole = plainAnswer(Response.unsupportedContentFormat);
const TOO_LATE: Whole = plainAnswer(Response.serviceUnavailable);

let areFormatsKnown = false;

/** Names of media types that node-coap does not know of itself; its table is one for the process. */
function teachFormats(): void {
  if (areFormatsKnown) return;
  areFormatsKnown = true;
  // Text is known to it without its charset, and handlers ask for it like that.
  for (const [format, contentType] of registeredFormats())
    if (format > 0) registerFormat(contentType, format);
}

/**
 * Runs one whole, validated request through a node-coap server of its own behind something that looks like a socket.
 * Nothing of it outlives the request: its duplicate detection, blocks, observers and timers have nothing to work on, and
 * what it sends comes here, whatever the address.
 */
export async function askNodeCoap(
  request: IncomingRequest,
  body: Uint8Array,
  options: NodeCoapOptions,
): Promise<Whole> {
  teachFormats();
  // RFC 8132 section 2.3.1; node-coap would say so to nobody.
  const isFetch = request.code === Method.fetch;
  if (isFetch && findOption(request.options, OptionNumber.contentFormat) === undefined) return FORMAT_MISSING;
  const { promise, resolve } = Promise.withResolvers<Whole>();
  let responseBody: Uint8Array = new Uint8Array(0);
  let isOver = false;
  const fail = (error: unknown): void => {
    options.failed(error);
    resolve(FAILED);
  };
  const server = createServer({ sendAcksForNonConfirmablePackets: true });
  const socket = Object.assign(new EventEmitter(), {
    send: (datagram: Uint8Array) => resolve(answerIn(datagram, responseBody)),
  });
  server.on("error", fail);
  server.on("request", (incoming: IncomingMessage, response: OutgoingMessage) => {
    response.on("error", fail);
    takeBody(response, (whole) => {
      responseBody = whole;
      return !isOver;
    });
    runSafely(() => options.run(incoming, response), fail);
  });
  server.listen(socket);
  const cancel = options.clock.after(DEADLINE_MS, () => resolve(TOO_LATE));
  const { host: address, port } = request.from;
  socket.emit("message", datagramOf(request, body), { address, port });
  try {
    return await promise;
  } finally {
    isOver = true;
    cancel();
    server.close();
  }
}

/** Whether it throws or rejects is one. */
function runSafely(run: () => void | Promise<void>, fail: (error: unknown) => void): void {
  const ran = async (): Promise<void> => await run();
  ran().catch(fail);
}

/** Ends the response without its body, which goes round node-coap: that would cut it into blocks of its own. */
function takeBody(response: OutgoingMessage, take: (whole: Uint8Array) => boolean): void {
  const end = response.end.bind(response);
  response.end = (chunk?: unknown) => {
    const last =
      typeof chunk === "string" || chunk instanceof Uint8Array ? Buffer.from(chunk) : Buffer.alloc(0);
    const whole = Buffer.concat([response.slice(), last]);
    response.consume(response.length);
    return take(new Uint8Array(whole)) ? end() : response;
  };
}

function datagramOf({ code, messageId, options }: IncomingRequest, body: Uint8Array): Buffer {
  const tail = encodeTail(
    options.filter(({ number }) => !DONE_BEFORE.has(number)),
    body,
  );
  return Buffer.concat([Uint8Array.of(FIRST_BYTE, code, messageId >> 8, messageId & 0xff), TOKEN, tail]);
}

function answerIn(datagram: Uint8Array, payload: Uint8Array): Whole {
  const message = decodeMessage(datagram);
  if (message === undefined || classOf(message.code) < 2) return FAILED;
  const options: readonly CoapOption[] = message.options.filter(({ number }) => !DONE_BEFORE.has(number));
  return { code: message.code, options, payload };
}
