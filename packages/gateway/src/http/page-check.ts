import type { IncomingMessage } from "node:http";
import { isIP } from "node:net";
import { hostname } from "node:os";
import type { ApiError } from "../api/failure.ts";
import type { ListenerConfig } from "../config/config.ts";

/** What a listener knows of the pages that may use it. */
export interface PageRules {
  readonly scheme: "http" | "https";
  /** The host of the listener's URL, without brackets. */
  readonly host: string;
  /** Pages of other origins that may. */
  readonly origins: readonly string[];
}

/** The rules of a listener. */
export function createPageRules({ url, origins = [] }: ListenerConfig): PageRules {
  const [, scheme, host = ""] = /^(https?):\/\/(.+):\d+$/.exec(url) ?? [];
  return {
    scheme: scheme === "https" ? "https" : "http",
    host: host.replace(/^\[|\]$/g, ""),
    origins,
  };
}

/** Why a request is refused for the web page it comes from; undefined: it is not. */
export function pageFault({ headers }: IncomingMessage, rules: PageRules): ApiError | undefined {
  const { host, origin } = headers;
  if (host === undefined || !isOurHost(host, rules)) {
    return {
      code: "host-not-ours",
      text: "the Host header names no host of this listener; add its origin to origins",
    };
  }
  const isForeign = origin === undefined ? isFromAfar(headers) : !isOurOrigin(origin, host, rules);
  if (!isForeign) return undefined;
  return { code: "origin-foreign", text: "a page of that origin may not ask; add it to origins" };
}

/** Whether the origin is another's and allowed, so that the answer must say so (Fetch standard, CORS protocol). */
export const isAllowedOrigin = (origin: string | undefined, { origins }: PageRules): origin is string =>
  origin !== undefined && origins.includes(origin);

/**
 * A name that an attacker's DNS server may point at us (DNS rebinding) is not ours: only IP addresses, localhost,
 * this machine's name, the listener's own host and the hosts of its `origins` are.
 */
function isOurHost(host: string, rules: PageRules): boolean {
  // Nothing but a name and a port: the URL parser would also take users and paths.
  if (!/^[^\s/?#@\\]+$/.test(host)) return false;
  const name = parse(`http://${host}`)?.hostname.toLowerCase();
  if (name === undefined) return false;
  if (isIP(name.replace(/^\[|\]$/g, "")) !== 0) return true;
  const ours = ["localhost", hostname().toLowerCase(), rules.host.toLowerCase()];
  return ours.includes(name) || rules.origins.some((origin) => parse(origin)?.hostname === name);
}

function isOurOrigin(origin: string, host: string, rules: PageRules): boolean {
  return origin === parse(`${rules.scheme}://${host}`)?.origin || rules.origins.includes(origin);
}

/** Browsers send no `Origin` with images, scripts and frames, but say that another site asks (Fetch metadata). */
function isFromAfar(headers: IncomingMessage["headers"]): boolean {
  const site = headers["sec-fetch-site"];
  if (site !== "cross-site" && site !== "same-site") return false;
  // A link that was followed shows the answer to its reader, and to nobody else.
  return headers["sec-fetch-mode"] !== "navigate" || headers["sec-fetch-dest"] !== "document";
}

const parse = (url: string): URL | undefined => (URL.canParse(url) ? new URL(url) : undefined);
