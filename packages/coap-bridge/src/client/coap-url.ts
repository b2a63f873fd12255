import { isIP } from "node:net";
import { isGroupHost, NomqError, plainHost } from "@nomq/core";
import { type CoapOption, OptionNumber } from "../wire/coap-message.ts";
import { COAP_PORT, refuseLaterScheme } from "../wire/coap-scheme.ts";
import { hrefOf, MAX_SEGMENT_BYTES } from "../wire/uri-path.ts";

/** A resource of another server, read from its URL (RFC 7252 section 6.4). */
export interface CoapTarget {
  /** An IP literal in its one spelling, or a name that is looked up at each use. */
  readonly host: string;
  readonly port: number;
  readonly isName: boolean;
  /** Uri-Path options, percent-decoded; empty segments stay, the root has none. */
  readonly path: readonly Uint8Array[];
  /** Uri-Query options, percent-decoded. */
  readonly query: readonly Uint8Array[];
  /** One spelling for one resource, by which two URLs are compared. */
  readonly url: string;
  /** The same without its query, which may hold secrets: for logs and status. */
  readonly shown: string;
}

/** So that all of it goes into one request. */
const MOST_BYTES = 700;
const PARTS = /^coap:\/\/(?:\[([^\]\s]+)\]|([^\s/:?#@[\]]+))(?::(\d{1,5}))?(\/[^\s?#]*)?(?:\?([^\s#]*))?$/i;
const ZONE = /^([^%]+)%25(?=.)/;

/**
 * Reads `coap://HOST[:PORT][/PATH][?QUERY]`; IPv6 literals in brackets, a link-local one with its zone as `%25eth0`.
 * Throws `config-invalid` or, for a scheme of a later version, `not-available-yet`; both lead with `at`.
 */
export function parseCoapUrl(url: string, at: string): CoapTarget {
  refuseLaterScheme(url, at);
  const parts = PARTS.exec(url);
  if (parts === null) fail(url, at, "write coap://HOST/PATH");
  const host = hostOf(parts, url, at);
  const port = parts[3] === undefined ? COAP_PORT : Number(parts[3]);
  if (port < 1 || port > 65_535) fail(url, at, "a port is 1 to 65535");
  const path = pathOf(parts[4] ?? "/", url, at);
  const query = parts[5] === undefined ? [] : parts[5].split("&").map((each) => bytesOf(each, url, at));
  const named = [...path, ...query].reduce((sum, { length }) => sum + length, host.length);
  if (named > MOST_BYTES) fail(url, at, `host, path and query have at most ${MOST_BYTES} bytes together`);
  const shown = `coap://${authorityOf(host, port)}${hrefOf(path.map(textOf))}`;
  return {
    host,
    port,
    isName: isIP(host) === 0,
    path,
    query,
    shown,
    url:
      query.length === 0
        ? shown
        : `${shown}?${query.map((each) => encodeURIComponent(textOf(each))).join("&")}`,
  };
}

function hostOf(parts: RegExpExecArray, url: string, at: string): string {
  const [, literal, other = ""] = parts;
  if (literal !== undefined) {
    const address = literal.replace(ZONE, "$1%");
    if (isIP(address) !== 6) fail(url, at, "what stands in brackets is an IPv6 address");
  }
  const host = plainHost(
    literal === undefined ? decoded(other, url, at).toLowerCase() : literal.replace(ZONE, "$1%"),
  );
  if (isGroupHost(host)) fail(url, at, "a multicast group has no resource");
  if (isIP(host) === 0 && !/^[\p{L}\p{N}]([\p{L}\p{N}._-]{0,251}[\p{L}\p{N}.])?$/u.test(host)) {
    fail(url, at, `${JSON.stringify(host)} is no host name`);
  }
  return host;
}

/** Host and port as URLs write them: a zone escaped (RFC 6874), the default port left out. */
export function authorityOf(host: string, port: number): string {
  const name = host.includes(":") ? `[${host.replace("%", "%25")}]` : host;
  return port === COAP_PORT ? name : `${name}:${port}`;
}

/** RFC 7252 section 6.4, step 8: a lone slash is no option. */
function pathOf(path: string, url: string, at: string): Uint8Array[] {
  if (path === "/") return [];
  return path
    .slice(1)
    .split("/")
    .map((each) => {
      if (each === "." || each === "..") fail(url, at, "a path has no . and .. levels");
      return bytesOf(each, url, at);
    });
}

function bytesOf(text: string, url: string, at: string): Uint8Array {
  const bytes = Buffer.from(decoded(text, url, at));
  if (bytes.length > MAX_SEGMENT_BYTES)
    fail(url, at, `a level or query has at most ${MAX_SEGMENT_BYTES} bytes`);
  return bytes;
}

function decoded(text: string, url: string, at: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return fail(url, at, "percent-encoding is two hexadecimal digits that make up UTF-8");
  }
}

const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString();

/** The options that name the resource: Uri-Host where it is a name (RFC 7252 section 5.10.1), Uri-Path, Uri-Query. */
export function targetOptions(target: CoapTarget): CoapOption[] {
  const { isName, host, path, query } = target;
  return [
    ...(isName ? [{ number: OptionNumber.uriHost, value: Buffer.from(host) }] : []),
    ...path.map((value) => ({ number: OptionNumber.uriPath, value })),
    ...query.map((value) => ({ number: OptionNumber.uriQuery, value })),
  ];
}

function fail(url: string, at: string, reason: string): never {
  throw new NomqError("config-invalid", `${at}: ${url} is no CoAP URL: ${reason}`);
}
