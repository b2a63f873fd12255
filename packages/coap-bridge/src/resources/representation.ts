import type { Message } from "@nomq/core";
import type { Whole } from "../blocks/whole.ts";
import { formatOfMessage, secondsLeft } from "../mapping.ts";
import { type CoapOption, NO_BYTES, OptionNumber } from "../wire/coap-message.ts";
import { Response } from "../wire/code.ts";
import { uintValue } from "../wire/option-value.ts";
import { CONVERTED_TO, convert } from "./conversion.ts";
import { convertedEtag, etagOf } from "./etag.ts";
import { REFRESH_SECONDS } from "./parameters.ts";

/** A value in one format. */
export interface Representation {
  /** Content-Format; absent: the value has no type, or one without a number. */
  readonly format?: number | undefined;
  readonly payload: Uint8Array;
  readonly etag: Uint8Array;
}

/** The value as it is. */
export function representAsIs(message: Message): Representation {
  return { format: formatOfMessage(message), payload: message.payload, etag: etagOf(message.id) };
}

/** The value in the format asked for; undefined: it cannot be said in that without loss (4.06). */
export function represent(message: Message, accept: number): Representation | undefined {
  const format = formatOfMessage(message);
  if (accept === format) return representAsIs(message);
  // A type without a number is no text, JSON or CBOR of ours.
  if (format === undefined && message.contentType !== undefined) return undefined;
  const payload = convert(message.payload, { from: format, to: accept });
  return payload && { format: accept, payload, etag: convertedEtag(message.id, accept) };
}

/** The ETags of all representations a value has. */
export function etagsOf({ id }: Message): readonly Uint8Array[] {
  return [etagOf(id), ...CONVERTED_TO.map((format) => convertedEtag(id, format))];
}

/** Seconds that a reader may take the value for current. */
export function maxAgeOf({ expiresAt }: Message, now: number): number {
  return expiresAt === undefined ? REFRESH_SECONDS : secondsLeft(expiresAt - now);
}

/** Milliseconds a value may still be given out; undefined: as long as anybody wants it. */
export function endsInMsOf({ expiresAt }: Message, now: number): number | undefined {
  return expiresAt === undefined ? undefined : expiresAt - now;
}

/** What goes with a {@link Representation}. */
export interface ContentOptions {
  readonly maxAge: number;
  readonly observe?: number | undefined;
  /** Default false. */
  readonly valid?: boolean;
  /** {@link endsInMsOf} the value. */
  readonly expiresInMs?: number | undefined;
}

/** The response that carries it (2.05), or says that the reader's copy still holds (2.03). */
export function contentOf(
  { format, payload, etag }: Representation,
  { maxAge, observe, valid = false, expiresInMs }: ContentOptions,
): Whole {
  const options: CoapOption[] = [{ number: OptionNumber.etag, value: etag }];
  if (observe !== undefined) options.push({ number: OptionNumber.observe, value: uintValue(observe) });
  if (format !== undefined && !valid) {
    options.push({ number: OptionNumber.contentFormat, value: uintValue(format) });
  }
  options.push({ number: OptionNumber.maxAge, value: uintValue(maxAge) });
  return valid
    ? { code: Response.valid, options, payload: NO_BYTES }
    : { code: Response.content, options, payload, expiresInMs };
}
