import { isIP } from "node:net";

/** What a CoAP URL looks like. */
export const COAP_URL = "expected a CoAP URL such as coap://10.0.0.9/temp";

/** Bytes of one Uri-Path or Uri-Query option (RFC 7252 section 5.10). */
const LONGEST_OPTION = 255;

/**
 * What is wrong with the URL of one resource (RFC 7252 section 6), in words; undefined: nothing. `coaps` and the TCP
 * schemes are taken here: that they are not served is another matter. What stands before an `@` is never shown.
 */
export function coapUrlFault(text: string): string | undefined {
  const parts = /^coaps?(?:\+tcp)?:\/\/([^/?#]*)([^?#]*)(?:\?([^#]*))?(#.*)?$/s.exec(text);
  if (parts === null || /\s/.test(text)) return COAP_URL;
  const [, authority = "", path = "", query = "", fragment] = parts;
  if (fragment !== undefined) return "has a fragment (#…), which a CoAP URL cannot have; leave it out";
  if (authority.includes("@"))
    return "has a name before its host (…@), for which CoAP has no place; leave it out";
  const levels = path.slice(1).split("/");
  if (levels.some((level) => level === "." || level === ".."))
    return "has a level . or .., which names nothing";
  return authorityFault(authority) ?? optionsFault(levels) ?? optionsFault(query.split("&"));
}

function authorityFault(authority: string): string | undefined {
  const parts = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/.exec(authority);
  const [, six, host = "", port] = parts ?? [];
  if (parts === null || (six !== undefined && isIP(six) !== 6)) return COAP_URL;
  if (port !== undefined && (Number(port) > 65_535 || Number(port) === 0))
    return "expected a port from 1 to 65535";
  const isGroup = six === undefined ? /^2(2[4-9]|3\d)\.\d+\.\d+\.\d+$/.test(host) : /^ff/i.test(six);
  return isGroup ? "is the address of a group; give that of one device" : undefined;
}

function optionsFault(parts: readonly string[]): string | undefined {
  for (const part of parts) {
    const decoded = decode(part);
    if (decoded === undefined)
      return `has a % that is no percent-encoding of UTF-8; write %25 for a % itself`;
    if (Buffer.byteLength(decoded) > LONGEST_OPTION)
      return "has a part longer than 255 bytes, the longest CoAP can say";
  }
  return undefined;
}

function decode(part: string): string | undefined {
  try {
    return decodeURIComponent(part);
  } catch {
    return undefined;
  }
}
