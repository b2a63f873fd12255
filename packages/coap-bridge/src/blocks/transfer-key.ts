import type { IncomingRequest } from "../messaging/messaging.ts";
import { OptionNumber } from "../wire/coap-message.ts";

/**
 * What tells one resource and one representation from another. Tokens and message ids do not: RFC 7959 section 2.5 leaves
 * both free for every block. Request-Tag does (RFC 9175 section 3.2).
 */
const TELLING: ReadonlySet<number> = new Set([
  OptionNumber.uriHost,
  OptionNumber.uriPort,
  OptionNumber.uriPath,
  OptionNumber.uriQuery,
  OptionNumber.accept,
  OptionNumber.requestTag,
]);

/** Names a transfer: endpoint, method, and the options that tell one representation from another. */
export function transferKey(request: Pick<IncomingRequest, "from" | "code" | "options">): string {
  let key = `${request.from.key} ${request.code}`;
  for (const { number, value } of request.options) {
    if (TELLING.has(number)) key += ` ${number}:${value.length}:${bytesAsText(value)}`;
  }
  return key;
}

/** One character a byte; only ever compared. */
function bytesAsText(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
}
