/**
 * Max-Age of a value without a TTL, in seconds: how long a reader may take it for current. As long as an absent option
 * would say (RFC 7252 section 5.10.5), and said all the same.
 */
export const REFRESH_SECONDS = 60;

/** Largest payload that goes out in one datagram (RFC 7959 section 2.2). */
export const ONE_BLOCK_BYTES = 1024;

/** Largest value that is converted to another format for a reader: 8 KiB of numbers take 10 to 30 ms, others wait meanwhile. */
export const MOST_CONVERTED_BYTES = 8_192;
