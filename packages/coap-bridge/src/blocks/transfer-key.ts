import { createHash } from "node:crypto";
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

/** A path and query may fill a datagram; what is held under the key, and written down with relations, must not. */
const LONGEST = 256;

/** Names a transfer: endpoint, method, and the options that tell one representation from another; long ones by their digest. */
export function transferKey(request: Pick<IncomingRequest, "from" | "code" | "options">): string {
  const { from, code, options } = request;
  let told = "";
  for (const { number, value } of options) {
    if (!TELLING.has(number)) continue;
    told += ` ${number}:${value.length}:`;
    if (told.length + value.length > LONGEST) return `${from.key} ${code} #${digestOf(options)}`;
    told += bytesAsText(value);
  }
  return `${from.key} ${code}${told}`;
}

function digestOf(options: IncomingRequest["options"]): string {
  const hash = createHash("sha256");
  for (const { number, value } of options) {
    if (TELLING.has(number)) hash.update(`${number}:${value.length}:`).update(value);
  }
  return hash.digest("base64url");
}

/** One character a byte; only ever compared. */
function bytesAsText(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
}
