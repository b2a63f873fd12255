import type { Clock, Message } from "@nomq/core";
import { exceedsBlock, firstBlock } from "../blocks/cut.ts";
import { encoded, type Whole } from "../blocks/whole.ts";
import type { Show, Shown } from "../observe/observers.ts";
import { REFRESH_SECONDS } from "../resources/parameters.ts";
import type { Reader } from "../resources/read.ts";
import { contentOf, endsInMsOf, maxAgeOf } from "../resources/representation.ts";
import { LARGEST_SZX } from "../wire/block-option.ts";
import { type CoapOption, NO_BYTES, OptionNumber } from "../wire/coap-message.ts";
import { Response } from "../wire/code.ts";
import { uintValue } from "../wire/option-value.ts";

/** What {@link createShow} needs. */
export interface ShowOptions {
  readonly reader: Reader;
  readonly clock: Clock;
  /** A message is told to observers: once for each, however many there are. */
  readonly told: (message: Message) => void;
}

/** A channel without a value, to those who keep an eye on it: an empty 2.05 (docs/hub.md). */
export function emptyContent(observe: number | undefined): Whole {
  const options: CoapOption[] = [];
  if (observe !== undefined) options.push({ number: OptionNumber.observe, value: uintValue(observe) });
  options.push({ number: OptionNumber.maxAge, value: uintValue(REFRESH_SECONDS) });
  return { code: Response.content, options, payload: NO_BYTES };
}

/** Makes what observers are shown. */
export function createShow({ reader, clock, told }: ShowOptions): Show {
  const known = new WeakSet<Message>();
  return ({ message, accept, szx = LARGEST_SZX, observe }): Shown => {
    if (message === undefined) return encoded(emptyContent(observe));
    if (!known.has(message)) {
      known.add(message);
      told(message);
    }
    const found = reader.represent(message, accept);
    if (found === undefined) return { code: Response.notAcceptable };
    const now = clock.now();
    const whole = contentOf(found, {
      maxAge: maxAgeOf(message, now),
      expiresInMs: endsInMsOf(message, now),
      observe,
    });
    return {
      ...encoded(firstBlock(whole, szx)),
      // The other blocks are of this version too, whatever the observer has begun to fetch before.
      ...(exceedsBlock(whole, szx) && { whole }),
      ...(found.format === undefined ? {} : { format: found.format }),
    };
  };
}
