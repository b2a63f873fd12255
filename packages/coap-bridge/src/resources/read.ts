import type { Clock, Message } from "@nomq/core";
import { encoded, plainAnswer, type Whole } from "../blocks/whole.ts";
import type { Answer } from "../messaging/messaging.ts";
import { LARGEST_BLOCK_BYTES } from "../wire/block-option.ts";
import { type CoapOption, OptionNumber } from "../wire/coap-message.ts";
import { Response } from "../wire/code.ts";
import { uintOption } from "../wire/options.ts";
import { areMet, conditionsOf } from "./conditions.ts";
import { CONVERTED_TO } from "./conversion.ts";
import {
  contentOf,
  endsInMsOf,
  etagsOf,
  maxAgeOf,
  type Representation,
  represent,
  representAsIs,
} from "./representation.ts";

/** Tails kept for readers who ask for nothing but the value, and conversions of values; each in one datagram. */
const MOST_KEPT = 4096;
const MOST_CONVERSIONS = 256;

/** What a GET is answered. */
export interface Reader {
  /** To a GET that names a channel and says nothing else: one tail for all who ask within the same second of Max-Age. */
  plain(message: Message | undefined): Answer;
  /** To a GET with Accept, ETag, conditions or blocks; not cut yet; `observe` is its order number. */
  read(options: readonly CoapOption[], message: Message | undefined, observe?: number): Whole;
  /** The value in the format asked for; undefined: 4.06. The same object for the same value and format. */
  represent(message: Message, accept?: number): Representation | undefined;
  /** The formats in which a value can be had; the first is its own. */
  formatsOf(message: Message): readonly number[];
}

interface KeptTail {
  readonly id: string;
  readonly maxAge: number;
  readonly answer: Answer;
}

const NO_VALUE = plainAnswer(Response.notFound, [], "no value");
const NO_VALUE_TAIL: Answer = encoded(NO_VALUE);
const NOT_MET = plainAnswer(Response.preconditionFailed);
const NOT_ACCEPTABLE = plainAnswer(Response.notAcceptable, [], "not in this format");

/** Whether a GET says nothing but which channel it wants. */
export function isPlainGet(options: readonly CoapOption[]): boolean {
  for (const { number } of options) {
    const isName = number === OptionNumber.uriPath || number === OptionNumber.uriHost;
    if (!isName && number !== OptionNumber.uriPort) return false;
  }
  return true;
}

/** The Content-Format asked for; undefined: none. */
export const acceptOf = (options: readonly CoapOption[]): number | undefined =>
  uintOption(options, OptionNumber.accept, 2);

/** Makes the reader; what it keeps is bounded, and is of use only as long as a value is the newest. */
export function createReader({ clock }: { readonly clock: Clock }): Reader {
  const tails = new Map<string, KeptTail>();
  const conversions = new Map<string, Representation | undefined>();

  const keepTail = (message: Message, maxAge: number): Answer => {
    const answer = encoded(contentOf(representAsIs(message), { maxAge }));
    if (tails.size >= MOST_KEPT && !tails.has(message.channel)) dropOldest(tails);
    tails.set(message.channel, { id: message.id, maxAge, answer });
    return answer;
  };
  const converted = (message: Message, accept: number): Representation | undefined => {
    const key = `${message.id} ${accept}`;
    if (conversions.has(key)) return conversions.get(key);
    const made = represent(message, accept);
    if (conversions.size >= MOST_CONVERSIONS) dropOldest(conversions);
    conversions.set(key, made);
    return made;
  };
  const representation = (message: Message, accept?: number): Representation | undefined =>
    accept === undefined ? representAsIs(message) : converted(message, accept);

  return {
    plain(message) {
      if (message === undefined) return NO_VALUE_TAIL;
      const maxAge = maxAgeOf(message, clock.now());
      const kept = tails.get(message.channel);
      return kept?.id === message.id && kept.maxAge === maxAge ? kept.answer : keepTail(message, maxAge);
    },
    read(options, message, observe) {
      const conditions = conditionsOf(options);
      if (conditions !== undefined && !areMet(conditions, message && etagsOf(message))) return NOT_MET;
      if (message === undefined) return NO_VALUE;
      const accept = acceptOf(options);
      const found = representation(message, accept);
      if (found === undefined) return NOT_ACCEPTABLE;
      const now = clock.now();
      const valid = options.some(
        ({ number, value }) => number === OptionNumber.etag && Buffer.compare(value, found.etag) === 0,
      );
      return contentOf(found, {
        maxAge: maxAgeOf(message, now),
        expiresInMs: endsInMsOf(message, now),
        ...{ valid, observe },
      });
    },
    represent: representation,
    formatsOf(message) {
      const { format } = representAsIs(message);
      // Of a large value only its own: each is tried by converting it.
      const others = fitsOneBlock(message) ? CONVERTED_TO : [];
      const convertible = others.filter((to) => to !== format && represent(message, to) !== undefined);
      return format === undefined ? convertible : [format, ...convertible];
    },
  };
}

/** Whether a value is small enough for {@link Reader.plain}. */
export function fitsOneBlock(message: Message | undefined): boolean {
  return message === undefined || message.payload.length <= LARGEST_BLOCK_BYTES;
}

function dropOldest(kept: Map<string, unknown>): void {
  for (const [key] of kept) {
    kept.delete(key);
    return;
  }
}
