import { type AckPoint, type AnonymousRule, codeOf, NomqError } from "@nomq/core";
import type { ClientOptions } from "./client/client-options.ts";
import { parseCoapListen } from "./listen/coap-listener.ts";
import type { About } from "./programs/about.ts";
import type { CoapResource } from "./programs/coap-resource.ts";
import { COAP_PORT, refuseLaterScheme } from "./wire/coap-scheme.ts";

/** One address on which CoAP requests are taken. */
export interface CoapListener {
  /** `coap://HOST[:PORT]`; port 0 picks a free one; `[::]` is dual-stack. */
  readonly url: string;
  /** Who may come without credentials. Default `loopback`. */
  readonly anonymous?: AnonymousRule;
  /** When a confirmable PUT, POST or DELETE is answered. Default `stored`. */
  readonly ack?: AckPoint;
  /** How long `ack: delivered` waits, in milliseconds. Default 10,000. */
  readonly ackTimeout?: number;
  /** Largest body taken, in bytes, of all its blocks. Default 1 MiB. */
  readonly maxPayload?: number;
}

/** The `coap` section of `gateway.yaml`. */
export interface CoapBridgeOptions extends ClientOptions {
  /** Default `coap://[::]:5683`. */
  readonly listen?: readonly (string | CoapListener)[];
  /** Path in front of every channel, `devices/coap`. Default none. */
  readonly prefix?: string;
  /** Resources that a program adds, in node-coap's request and response style. Not in `gateway.yaml`. Default none. */
  readonly resources?: readonly CoapResource[];
  /** What `/.well-known/nomq` says to whoever may read it. Default: this package's name, version and the bridge's status. */
  readonly about?: About;
}

/** A listener with every default filled in. */
export interface ListenerSettings {
  readonly url: string;
  /** The name of its socket: the same after a restart, as long as the configuration is. */
  readonly name: string;
  readonly anonymous: AnonymousRule;
  readonly ack: AckPoint;
  readonly ackTimeout: number;
  readonly maxPayload: number;
}

const DEFAULT_LISTEN: readonly string[] = [`coap://[::]:${COAP_PORT}`];
/** What block numbers of 1,024 bytes can count (RFC 7959 section 2.2). */
const LARGEST_BODY = 2 ** 30;

/** Fills in defaults. Throws `config-invalid` or `not-available-yet` with the path of what is wrong. */
export function listenerSettings(options: CoapBridgeOptions): readonly ListenerSettings[] {
  const entries = (options.listen ?? DEFAULT_LISTEN).map((entry) =>
    typeof entry === "string" ? { url: entry } : entry,
  );
  return entries.map((entry, at) => {
    const isFirst = entries.findIndex(({ url }) => url === entry.url) === at;
    const name = isFirst ? entry.url : `${entry.url}#${at}`;
    return { ...settingsOf(entry, `coap.listen[${at}]`), name };
  });
}

function settingsOf(listener: CoapListener, path: string): Omit<ListenerSettings, "name"> {
  const { url, anonymous = "loopback", ack = "stored" } = listener;
  const { ackTimeout = 10_000, maxPayload = 1_048_576 } = listener;
  if (!Number.isInteger(maxPayload) || maxPayload < 1 || maxPayload > LARGEST_BODY) {
    throw new NomqError(
      "config-invalid",
      `${path}.maxPayload must be a number of bytes, 1 to ${LARGEST_BODY}`,
    );
  }
  checkUrl(url, path);
  return { url, anonymous, ack, ackTimeout, maxPayload };
}

function checkUrl(url: string, path: string): void {
  refuseLaterScheme(url, path);
  const wrong = `${path}: ${url} is no listener address; write coap://IP:PORT`;
  if (!url.startsWith("coap://")) throw new NomqError("config-invalid", wrong);
  try {
    parseCoapListen(url);
  } catch (cause) {
    throw new NomqError("config-invalid", `${wrong} (${codeOf(cause)})`, { cause });
  }
}
