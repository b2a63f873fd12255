import { isValidFilter, NomqError, type OutboxLimits } from "@nomq/core";
import type { NodeAccess } from "./nodes/wanted-config.ts";
import type { TlsSettings } from "./stream/tls-policy.ts";

/** The `xmpp` section of `gateway.yaml`. */
export interface XmppBridgeOptions {
  /** `xmpp://HOST:PORT` (STARTTLS), `xmpps://`, `ws://` or `wss://HOST:PORT/PATH`. Default `xmpp://DOMAIN:5222`. */
  readonly service?: string;
  /** The domain of the account. */
  readonly domain: string;
  /** The account's name without its domain. */
  readonly username: string;
  readonly password: string;
  /** The pubsub service. Default `pubsub.DOMAIN`. */
  readonly pubsub?: string;
  /** Filters of the channels that become nodes. Default none. */
  readonly publish?: readonly string[];
  /** Filters of the nodes that become channels. Default none. */
  readonly subscribe?: readonly string[];
  /** `required` is on unless the service is loopback and no `ca` is given; `ca` is PEM; `servername` is the domain unless said. */
  readonly tls?: TlsSettings;
  /** Items that nodes with events at QoS 1 and 2 keep: as long an outage subscribers can catch up. Default 250, at least 2. */
  readonly history?: number;
  /** How often nodes of others are looked for, ms. Default 60,000; from 1,000. */
  readonly findEvery?: number;
  /** Default 10,000 messages, 64 MiB, drop-oldest. */
  readonly outbox?: Partial<OutboxLimits>;
  /** Who may read and write the nodes of `publish`, bare JIDs. Default: everybody may read, nobody else may write. */
  readonly access?: NodeAccess;
  /** Serving the nodes ourselves is not available yet. */
  readonly component?: null;
}

/** Options with every default filled in. */
export interface XmppSettings
  extends Required<Omit<XmppBridgeOptions, "tls" | "outbox" | "component">>,
    Pick<XmppBridgeOptions, "outbox"> {
  readonly tls: TlsSettings;
}

const DEFAULT_HISTORY = 250;
/** Above it a node's items cost servers more than they are worth, and few accept it. */
const MOST_HISTORY = 1_000_000;
const DEFAULT_FIND_EVERY_MS = 60_000;
/** More often would only load the service; timers of the system go no further. */
const LEAST_FIND_EVERY_MS = 1_000;
const MOST_FIND_EVERY_MS = 2 ** 31 - 1;
const SCHEMES: readonly string[] = ["xmpp:", "xmpps:", "ws:", "wss:"];

/** Fills in defaults. Throws `config-invalid` or `not-available-yet` with the path of what is wrong. */
export function xmppSettings(options: XmppBridgeOptions): XmppSettings {
  const { domain, username, password, publish = [], subscribe = [], tls = {}, access = {} } = options;
  const {
    service = `xmpp://${domain}:5222`,
    pubsub = `pubsub.${domain}`,
    history = DEFAULT_HISTORY,
    findEvery = DEFAULT_FIND_EVERY_MS,
  } = options;
  const { outbox } = options;
  // Whoever writes no TypeScript, or reads a file, may have left them out.
  if (options.component !== undefined && options.component !== null)
    throw new NomqError("not-available-yet", "xmpp.component: component mode is not available yet");
  check("domain", xmppHostFault(domain));
  check("username", xmppUsernameFault(username));
  check("password", typeof password === "string" && password !== "" ? undefined : "must be given");
  check("pubsub", xmppHostFault(pubsub));
  check("service", xmppServiceFault(service));
  checkFilters("publish", publish);
  checkFilters("subscribe", subscribe);
  checkJids("members", access.members);
  checkJids("publishers", access.publishers);
  if (!Number.isInteger(history) || history < 2 || history > MOST_HISTORY)
    invalid("history", `must be a number of items, 2 to ${MOST_HISTORY}`);
  check("findEvery", xmppFindEveryFault(findEvery));
  return {
    ...{ service, domain, username, password, pubsub, publish, subscribe, tls, history, findEvery, access },
    ...(outbox === undefined ? {} : { outbox }),
  };
}

/** What is wrong with how often nodes are looked for, ms. */
export function xmppFindEveryFault(ms: unknown): string | undefined {
  const isTime = typeof ms === "number" && ms >= LEAST_FIND_EVERY_MS && ms <= MOST_FIND_EVERY_MS;
  return isTime ? undefined : "expected 1s to 576h";
}

/** What is wrong with the name of a domain or service; undefined: nothing that is seen from here. */
export function xmppHostFault(host: unknown): string | undefined {
  const isHost = typeof host === "string" && host !== "" && !/[@/\s]/.test(host);
  return isHost ? undefined : "expected the name of a domain, such as example.org";
}

/** What is wrong with an account's name without its domain (RFC 7622 section 3.3.1); the rest its server says. */
export function xmppUsernameFault(username: unknown): string | undefined {
  const isName = typeof username === "string" && username !== "" && !/["&'/:<>@\s]/.test(username);
  return isName ? undefined : "expected the part before the @ of the account, such as gateway";
}

/** What is wrong with a service's URL; never repeats it, which may hold a password. */
export function xmppServiceFault(service: unknown): string | undefined {
  const url = typeof service === "string" && URL.canParse(service) ? new URL(service) : undefined;
  if (url === undefined || !SCHEMES.includes(url.protocol) || url.hostname === "")
    return "expected xmpp:// or xmpps:// with a host, such as xmpp://127.0.0.1:5222, or ws:// or wss:// with a path";
  return url.username === "" && url.password === ""
    ? undefined
    : "holds credentials: an account is given by username and password";
}

/** What is wrong with an account, or a server, that may use nodes. */
export function xmppJidFault(jid: unknown): string | undefined {
  const isBare = typeof jid === "string" && /^[^@/\s]+(@[^@/\s]+)?$/.test(jid);
  return isBare ? undefined : "expected a JID without a resource, such as ann@example.org";
}

function check(name: string, fault: string | undefined): void {
  if (fault !== undefined) invalid(name, fault);
}

function checkFilters(name: "publish" | "subscribe", filters: readonly string[]): void {
  for (const [at, filter] of filters.entries()) {
    if (!isValidFilter(filter)) invalid(`${name}[${at}]`, `${JSON.stringify(filter)} is no filter`);
  }
}

function checkJids(name: string, jids: readonly string[] = []): void {
  for (const [at, jid] of jids.entries()) check(`access.${name}[${at}]`, xmppJidFault(jid));
}

function invalid(name: string, what: string): never {
  throw new NomqError("config-invalid", `xmpp.${name}: ${what}`);
}
