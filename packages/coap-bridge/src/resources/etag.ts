import type { Message } from "@nomq/core";

/** Digits of a message's id that go into its ETag: three bytes of the run's own and five of the number within it. */
const RUN = [10, 16] as const;
const NUMBER = 22;

/**
 * The ETag of a value as it is: eight bytes from the id of the message that set it, so that no two values of a channel
 * share one, also over restarts of a hub that keeps nothing.
 */
export function etagOf(id: Message["id"]): Uint8Array {
  return Buffer.from(id.slice(...RUN) + id.slice(NUMBER), "hex");
}

/** The ETag of the same value in another format: it is another representation (RFC 7252 section 5.10.6). */
export function convertedEtag(id: Message["id"], format: number): Uint8Array {
  const etag = etagOf(id);
  etag[0] = (etag[0] ?? 0) ^ (format + 1);
  return etag;
}
