import type { IncomingHttpHeaders } from "node:http";
import { isIP } from "node:net";
import { hostname } from "node:os";

/** What a listener that web browsers can reach knows of the pages that may use it. */
export interface PageRules {
  /** How pages call the listener: `https` with TLS. */
  readonly scheme: "http" | "https";
  /** The host of the listener's URL, without brackets. */
  readonly host: string;
  /** Pages of other origins that may. */
  readonly origins: readonly string[];
}

/** `host-not-ours`: asked for under another's name. `origin-foreign`: asked by another's page. */
export type PageFault = "host-not-ours" | "origin-foreign";

/** Why a request is refused for the web page it comes from; undefined: it is not. */
export function pageFault(headers: IncomingHttpHeaders, rules: PageRules): PageFault | undefined {
  const { host, origin } = headers;
  if (host === undefined || !isOurHost(host, rules)) return "host-not-ours";
  const isForeign = origin === undefined ? isFromAfar(headers) : !isOurOrigin(origin, host, rules);
  return isForeign ? "origin-foreign" : undefined;
}

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
function isFromAfar(headers: IncomingHttpHeaders): boolean {
  const site = headers["sec-fetch-site"];
  if (site !== "cross-site" && site !== "same-site") return false;
  // A link that was followed shows the answer to its reader, and to nobody else.
  return headers["sec-fetch-mode"] !== "navigate" || headers["sec-fetch-dest"] !== "document";
}

const parse = (url: string): URL | undefined => (URL.canParse(url) ? new URL(url) : undefined);
