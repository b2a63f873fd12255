import { NomqError } from "@nomq/core";

/** Port of coap URLs without one (RFC 7252 section 12.6). */
export const COAP_PORT = 5683;

/** CoAP over DTLS, TCP, TLS and WebSockets (RFC 7252 section 6.2, RFC 8323 section 8). */
const LATER_SCHEME = /^coap(s|\+tcp|s\+tcp|\+ws|s\+ws):/i;

/** Throws `not-available-yet` for the schemes of CoAP that are not served; the message leads with `at`. */
export function refuseLaterScheme(url: string, at: string): void {
  if (!LATER_SCHEME.test(url)) return;
  throw new NomqError("not-available-yet", `${at}: ${url}: only coap:// is available yet`);
}
