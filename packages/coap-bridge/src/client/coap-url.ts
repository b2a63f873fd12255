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
const URL_PARTS = /^coaps?(?:\+tcp)?:\/\/([^/?#]*)([^?#]*)(?:\?([^#]*))?(#.*)?$/is;
const AUTHORITY = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/;
const HOST_NAME = /^[\p{L}\p{N}]([\p{L}\p{N}._-]{0,251}[\p{L}\p{N}.])?$/u;
const ZONE = /^([^%]+)%25(?=.)/;

const NO_URL = "expected a CoAP URL such as coap://10.0.0.9/temp";
const NO_UTF8 = "has a % that is no percent-encoding of UTF-8; write %25 for a % itself";

/** What is wrong with a URL, in words for whoever wrote it. */
class UrlFault extends Error {}

/**
 * Reads `coap://HOST[:PORT][/PATH][?QUERY]`; IPv6 literals in brackets, a link-local one with its zone as `%25eth0`.
 * Throws `config-invalid` or, for a scheme of a later version, `not-available-yet`; both lead with `at`.
 */
export function parseCoapUrl(url: string, at: string): CoapTarget {
  refuseLaterScheme(url, at);
  try {
    return read(url);
  } catch (fault) {
    // Not the URL itself: what stands before an `@` may be a password.
    if (fault instanceof UrlFault) throw new NomqError("config-invalid", `${at}: ${fault.message}`);
    throw fault;
  }
}

/**
 * What is wrong with the URL of one resource, in words; undefined: nothing. `coaps` and the TCP schemes are read here
 * too: that they are not served is another matter.
 */
export function coapUrlFault(url: string): string | undefined {
  try {
    read(url);
    return undefined;
  } catch (fault) {
    if (fault instanceof UrlFault) return fault.message;
    throw fault;
  }
}

function read(url: string): CoapTarget {
  const parts = URL_PARTS.exec(url);
  if (parts === null || /\s/.test(url)) fail(NO_URL);
  const [, authority = "", pathText = "", queryText, fragment] = parts;
  if (fragment !== undefined) fail("has a fragment (#…), which a CoAP URL cannot have; leave it out");
  if (authority.includes("@")) {
    fail("has a name before its host (…@), for which CoAP has no place; leave it out");
  }
  const { host, port } = authorityIn(authority);
  const path = pathOf(pathText);
  const query = queryText === undefined ? [] : queryText.split("&").map(bytesOf);
  const named = [...path, ...query].reduce((sum, { length }) => sum + length, host.length);
  if (named > MOST_BYTES) fail(`has more than ${MOST_BYTES} bytes of host, path and query together`);
  const shown = `coap://${authorityOf(host, port)}${hrefOf(path.map(textOf))}`;
  return {
    ...{ host, port, isName: isIP(host) === 0, path, query, shown },
    url:
      query.length === 0
        ? shown
        : `${shown}?${query.map((each) => encodeURIComponent(textOf(each))).join("&")}`,
  };
}

function authorityIn(text: string): Pick<CoapTarget, "host" | "port"> {
  const parts = AUTHORITY.exec(text);
  const [, literal, name = "", digits] = parts ?? [];
  const address = literal?.replace(ZONE, "$1%");
  if (parts === null || (address !== undefined && isIP(address) !== 6)) fail(NO_URL);
  const port = digits === undefined ? COAP_PORT : Number(digits);
  if (port < 1 || port > 65_535) fail("expected a port from 1 to 65535");
  const host = plainHost(address ?? decoded(name).toLowerCase());
  if (isGroupHost(host)) fail("is the address of a group; give that of one device");
  if (isIP(host) === 0 && !HOST_NAME.test(host)) fail(NO_URL);
  return { host, port };
}

/** Host and port as URLs write them: a zone escaped (RFC 6874), the default port left out. */
export function authorityOf(host: string, port: number): string {
  const name = host.includes(":") ? `[${host.replace("%", "%25")}]` : host;
  return port === COAP_PORT ? name : `${name}:${port}`;
}

/** RFC 7252 section 6.4, step 8: a lone slash is no option. */
function pathOf(path: string): Uint8Array[] {
  if (path === "" || path === "/") return [];
  return path
    .slice(1)
    .split("/")
    .map((level) => {
      if (level === "." || level === "..") fail("has a level . or .., which names nothing");
      return bytesOf(level);
    });
}

function bytesOf(text: string): Uint8Array {
  const bytes = Buffer.from(decoded(text));
  if (bytes.length > MAX_SEGMENT_BYTES) {
    fail(`has a part longer than ${MAX_SEGMENT_BYTES} bytes, the longest CoAP can say`);
  }
  return bytes;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return fail(NO_UTF8);
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

function fail(words: string): never {
  throw new UrlFault(words);
}
