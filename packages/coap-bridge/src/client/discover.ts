import { type Clock, isValidChannel, type Log, NomqError, silentLog, systemClock } from "@nomq/core";
import { secureRandom } from "../messaging/secure-random.ts";
import { codeText, Response } from "../wire/code.ts";
import { attributeOf, type Link, parseLinks } from "../wire/link-format.ts";
import { type Exchanged, exchange } from "./agent-exchange.ts";
import { openClientSocket } from "./client-socket.ts";
import { authorityOf, type CoapTarget, parseCoapUrl } from "./coap-url.ts";
import { createLookup, type Resolve, systemResolve } from "./lookup.ts";

/** A resource of another server, with a channel it could become. */
export interface DiscoveredResource {
  readonly url: string;
  /** A proposal from host and path, another for each resource. */
  readonly channel: string;
  /** Whether the server says that it can be observed (`obs`, RFC 7641 section 6). */
  readonly observable: boolean;
  /** Attributes of the link: `rt`, `if`, `ct`, `sz`, `title`. */
  readonly attributes: Readonly<Record<string, string>>;
}

/** Options of {@link discoverResources}. */
export interface DiscoverOptions {
  readonly signal?: AbortSignal;
  /** Default: the machine's clock. */
  readonly clock?: Clock;
  /** Default: silent. */
  readonly log?: Log;
  /** Default: the system's resolver. */
  readonly resolve?: Resolve;
}

const WELL_KNOWN = [".well-known", "core"].map((segment) => Buffer.from(segment));
const SHOWN = ["rt", "if", "ct", "sz", "title"];

/**
 * Asks a server for its resources (`/.well-known/core`, RFC 6690) and answers those that are its own. A path in the URL
 * is not looked at, its query filters (`?rt=temperature`). Throws `config-invalid` for a URL that is none, `aborted`,
 * and `request-refused` where the server does not answer, or not with a list.
 */
export async function discoverResources(
  url: string,
  options: DiscoverOptions = {},
): Promise<readonly DiscoveredResource[]> {
  const { clock = systemClock, log = silentLog, resolve = systemResolve } = options;
  const signal = options.signal ?? new AbortController().signal;
  const given = parseCoapUrl(url, "URL");
  const target: CoapTarget = { ...given, path: WELL_KNOWN };
  await using socket = await openClientSocket({ clock, log, random: secureRandom });
  const { messaging } = socket;
  const to = await createLookup(resolve, (at) => messaging.remoteAt(at)).find(target);
  if (to === undefined)
    throw new NomqError("request-refused", `${given.host} has no address; check its name`);
  const wire = { messaging, clock, random: secureRandom };
  const answer = await exchange(wire, { to, target, method: "GET" }, signal);
  return resourcesOf(parseLinks(listIn(answer, given)), given);
}

function listIn(answer: Exchanged, { shown }: CoapTarget): string {
  const refuse = (reason: string): never => {
    throw new NomqError("request-refused", `${shown} ${reason}`);
  };
  switch (answer.is) {
    case "answered":
      if (answer.code === Response.content) return new TextDecoder().decode(answer.payload);
      return refuse(`answered ${codeText(answer.code)} to /.well-known/core: it lists no resources`);
    case "silent":
      return refuse("does not answer; is it there, and is UDP let through?");
    case "reset":
      return refuse("resets the request: nothing there speaks CoAP as a server");
    case "broken":
      return refuse(`sent a list that cannot be read (${answer.reason})`);
    case "aborted":
      throw new NomqError("aborted", `${shown} did not answer in time`);
  }
}

function resourcesOf(links: readonly Link[], server: CoapTarget): DiscoveredResource[] {
  const channels = new Set<string>();
  const urls = new Set<string>();
  return links.flatMap((link) => {
    const target = targetOf(link.href, server);
    if (target === undefined || urls.has(target.url)) return [];
    urls.add(target.url);
    const channel = unused(channelFor(target), channels);
    channels.add(channel);
    const shown = SHOWN.flatMap((name) => {
      const value = attributeOf(link, name);
      return value === undefined ? [] : [[name, value]];
    });
    return [
      {
        url: target.url,
        channel,
        observable: attributeOf(link, "obs") !== undefined,
        attributes: Object.fromEntries(shown),
      },
    ];
  });
}

/** The link's resource, where it is one of this server; paths are meant from its root (RFC 6690 section 2.1). */
function targetOf(href: string, server: CoapTarget): CoapTarget | undefined {
  const origin = `coap://${authorityOf(server.host, server.port)}`;
  const isWhole = /^[a-z][a-z0-9+.-]*:/i.test(href);
  const url = isWhole ? href : `${origin}${href.startsWith("/") ? "" : "/"}${href}`;
  try {
    const target = parseCoapUrl(url, "link");
    const isOwn = target.host === server.host && target.port === server.port;
    const isList = Buffer.compare(target.path[0] ?? EMPTY, WELL_KNOWN[0] ?? EMPTY) === 0;
    return isOwn && !isList ? target : undefined;
  } catch {
    // A device's list may hold anything: what is no URL of ours is no resource.
    return undefined;
  }
}

const EMPTY = Buffer.alloc(0);

/** Host and path, with what no channel may have replaced. */
function channelFor({ host, path, query }: CoapTarget): string {
  const levels = [...path, ...query].map((each) => Buffer.from(each).toString().replaceAll("/", "_"));
  const name = ["sensors", host, ...levels].join("/").replace(/[\0+#\p{Cc}]/gu, "_");
  return isValidChannel(name) ? name : `sensors/${host.replace(/[^0-9A-Za-z.:-]/g, "_")}`;
}

function unused(name: string, taken: ReadonlySet<string>): string {
  let free = name;
  for (let copy = 2; taken.has(free); copy += 1) free = `${name}-${copy}`;
  return free;
}
