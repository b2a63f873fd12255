import { isValidFilter, NomqError, type OutboxLimits } from "@nomq/core";
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
  /** `required` is on unless the service is loopback; `ca` is PEM; `servername` is the domain unless said. */
  readonly tls?: TlsSettings;
  /** Items that nodes with events at QoS 1 and 2 keep: as long an outage subscribers can catch up. Default 250, at least 2. */
  readonly history?: number;
  /** Default 10,000 messages, 64 MiB, drop-oldest. */
  readonly outbox?: Partial<OutboxLimits>;
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
const SCHEMES: readonly string[] = ["xmpp:", "xmpps:", "ws:", "wss:"];

/** Fills in defaults. Throws `config-invalid` or `not-available-yet` with the path of what is wrong. */
export function xmppSettings(options: XmppBridgeOptions): XmppSettings {
  const { domain, username, password, publish = [], subscribe = [], tls = {}, outbox } = options;
  const {
    service = `xmpp://${domain}:5222`,
    pubsub = `pubsub.${domain}`,
    history = DEFAULT_HISTORY,
  } = options;
  // Whoever writes no TypeScript, or reads a file, may have left them out.
  if (options.component !== undefined && options.component !== null)
    throw new NomqError("not-available-yet", "xmpp.component: component mode is not available yet");
  checkText({ domain, username, password, pubsub });
  checkService(service);
  checkFilters("publish", publish);
  checkFilters("subscribe", subscribe);
  if (!Number.isInteger(history) || history < 2 || history > MOST_HISTORY)
    invalid("history", `must be a number of items, 2 to ${MOST_HISTORY}`);
  return {
    ...{ service, domain, username, password, pubsub, publish, subscribe, tls, history },
    ...(outbox === undefined ? {} : { outbox }),
  };
}

function checkText(texts: Readonly<Record<string, string | undefined>>): void {
  for (const [name, text] of Object.entries(texts)) {
    if (typeof text !== "string" || text === "") invalid(name, "must be given");
  }
  const { domain, username, pubsub } = texts;
  if (/[@/\s]/.test(`${domain}${pubsub}`)) invalid("domain", "and `pubsub` are host names");
  // RFC 7622 section 3.3.1; what is left is for the server to say.
  if (/["&'/:<>@\s]/.test(`${username}`)) invalid("username", "is the part before the @ of the account");
}

function checkService(service: string): void {
  const url = URL.canParse(service) ? new URL(service) : undefined;
  if (url === undefined || !SCHEMES.includes(url.protocol) || url.hostname === "")
    invalid("service", `${service} is no XMPP service; write xmpp://HOST:5222`);
  else if (url.username !== "" || url.password !== "")
    invalid("service", "holds credentials; write `username` and `password`");
}

function checkFilters(name: "publish" | "subscribe", filters: readonly string[]): void {
  for (const [at, filter] of filters.entries()) {
    if (!isValidFilter(filter)) invalid(`${name}[${at}]`, `${JSON.stringify(filter)} is no filter`);
  }
}

function invalid(name: string, what: string): never {
  throw new NomqError("config-invalid", `xmpp.${name}: ${what}`);
}
