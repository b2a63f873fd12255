import type { Answer } from "../messaging/messaging.ts";
import { type CoapOption, NO_BYTES } from "../wire/coap-message.ts";
import type { Code } from "../wire/code.ts";
import { encodeTail } from "../wire/tail.ts";

/** A response before it is cut into blocks, and also what goes into one datagram of it: code, options, payload. */
export interface Whole {
  readonly code: Code;
  /** In ascending order of their numbers; without Block1, Block2 and Size options, which this room adds. */
  readonly options: readonly CoapOption[];
  readonly payload: Uint8Array;
  /**
   * How long this version may be given to those who have begun to fetch it, in milliseconds: the time the value has left
   * to live. Default: as long as the transfer lasts.
   */
  readonly expiresInMs?: number | undefined;
}

const encoder = new TextEncoder();

/** A response of one datagram as the message layer takes it. */
export function encoded({ code, options, payload }: Whole): Answer {
  return options.length === 0 && payload.length === 0
    ? { code }
    : { code, tail: encodeTail(options, payload) };
}

/** An answer of one word about what went wrong (RFC 7252 section 5.5.2), or of none. */
export function plainAnswer(code: Code, options: readonly CoapOption[] = [], why = ""): Whole {
  return { code, options, payload: why === "" ? NO_BYTES : encoder.encode(why) };
}
