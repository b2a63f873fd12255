import { isValidFilter, type Message, type Port, type Principal } from "@nomq/core";
import { askedSzx } from "../blocks/cut.ts";
import { transferKey } from "../blocks/transfer-key.ts";
import { encoded, plainAnswer, type Whole } from "../blocks/whole.ts";
import type { Answer, IncomingRequest } from "../messaging/messaging.ts";
import type { Observers, Show } from "../observe/observers.ts";
import { notificationWishes } from "../observe/wishes.ts";
import { acceptOf, fitsOneBlock, isPlainGet, type Reader } from "../resources/read.ts";
import { OptionNumber } from "../wire/coap-message.ts";
import { type Code, Response } from "../wire/code.ts";
import { uintOption } from "../wire/options.ts";
import { readQuery } from "../wire/uri-query.ts";
import { emptyContent } from "./show.ts";

/** What a GET needs. */
export interface GetOptions {
  readonly port: Port;
  readonly reader: Reader;
  readonly observers: Observers | undefined;
  /** Cuts an answer to the block that was asked for, and encodes it. */
  readonly finish: (request: IncomingRequest, whole: Whole) => Answer;
}

/** Answers a GET of a channel that the principal may read. */
export type Get = (request: IncomingRequest, channel: string, as: Principal) => Answer | Promise<Answer>;

const REGISTER = 0;
const DEREGISTER = 1;
const PROVE_FIRST: Answer = { code: Response.content, onceProven: true };

/** Makes the answer to GET, with and without Observe. */
export function createGet({ port, reader, observers, finish }: GetOptions): Get {
  const isKnown = async (channel: string): Promise<boolean> => {
    if (observers?.has(channel) === true) return true;
    for await (const _ of port.channels(channel, { follow: false })) return true;
    return false;
  };
  /** The first answer of a relation: as any GET's, with the order number. */
  const firstOf =
    (request: IncomingRequest): Show =>
    ({ message, observe }) => {
      const read = message === undefined ? undefined : reader.read(request.options, message, observe);
      const whole = read ?? emptyContent(observe);
      const { code, tail } = finish(request, whole);
      return { code, tail, format: uintOption(whole.options, OptionNumber.contentFormat, 2) };
    };
  const register = async (
    request: IncomingRequest,
    { channel, as, over }: { channel: string; as: Principal; over: Observers },
  ): Promise<Answer> => {
    const read = readQuery(request.options);
    if (read.is === "refused") return refusal(Response.badOption, "query");
    const { parameters } = read;
    const wishes = notificationWishes(request.type, {
      qos: parameters.get("qos"),
      all: parameters.get("all"),
    });
    if (wishes === undefined) return refusal(Response.badRequest, "qos is 0, 1 or 2");
    const accept = acceptOf(request.options);
    if (!(await isKnown(channel))) return refusal(Response.notFound, "no such channel");
    const { from, token } = request;
    // A relation is written down, and there may be only so many: not for addresses that anybody may have written.
    if (!from.proven) return PROVE_FIRST;
    return await over.register({
      ...{
        from,
        token,
        channel,
        as,
        ...wishes,
        first: firstOf(request),
        szx: askedSzx(request.options),
        transfer: transferKey(request),
      },
      ...(accept === undefined ? {} : { accept }),
    });
  };

  const plain = (request: IncomingRequest, message: Message | undefined): Answer =>
    fitsOneBlock(message) ? reader.plain(message) : finish(request, reader.read(request.options, message));
  const withOptions = async (request: IncomingRequest, channel: string, as: Principal): Promise<Answer> => {
    const { options, from, token } = request;
    const observe = uintOption(options, OptionNumber.observe, 3);
    if (observers !== undefined && !request.toGroup) {
      // The hub takes no interest in names of more levels than filters have: read, not observed (RFC 7641 section 4.1).
      if (observe === REGISTER && isValidFilter(channel))
        return await register(request, { channel, as, over: observers });
      if (observe === DEREGISTER) observers.cancel(from, token);
    }
    return finish(request, reader.read(options, await port.latest(channel, as)));
  };

  return (request, channel, as) => {
    if (!isPlainGet(request.options)) return withOptions(request, channel, as);
    // The hot path: without a promise.
    const known = port.latestNow(channel, as);
    if (known !== undefined) return plain(request, known === "none" ? undefined : known);
    return port.latest(channel, as).then((message) => plain(request, message));
  };
}

const refusal = (code: Code, why: string): Answer => encoded(plainAnswer(code, [], why));
