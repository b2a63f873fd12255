import { DEFAULT_MAX_AGE } from "../wire/options.ts";

/**
 * Max-Age of a value without a TTL, in seconds: how long a reader may take it for current. As long as an absent option
 * would say, and said all the same.
 */
export const REFRESH_SECONDS: number = DEFAULT_MAX_AGE;

/**
 * The one attachment that stands for all observers. What comes in by PUT, POST and DELETE is published in its name, so
 * that the hub does not send it back: the bridge tells its observers itself.
 */
export const OBSERVERS_ATTACHMENT = "coap:observers";

/** Largest value that is converted to another format for a reader: 8 KiB of numbers take 10 to 30 ms, others wait meanwhile. */
export const MOST_CONVERTED_BYTES = 8_192;
