import { type AckPoint, type AnonymousRule, isGroupHost, NomqError, plainHost } from "@nomq/core";
import type { ClientOptions } from "./client/client-options.ts";

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
}

/** A listener with every default filled in. */
export interface ListenerSettings {
  readonly url: string;
  /** Without brackets. */
  readonly host: string;
  readonly port: number;
  readonly anonymous: AnonymousRule;
  readonly ack: AckPoint;
  readonly ackTimeout: number;
  readonly maxPayload: number;
}

const DEFAULT_LISTEN: readonly string[] = ["coap://[::]:5683"];
const DEFAULT_PORT = 5683;
/** What block numbers of 1,024 bytes can count (RFC 7959 section 2.2). */
const LARGEST_BODY = 2 ** 30;
const LISTENER = /^coap:\/\/(?:\[([^\]\s]+)\]|([^\s/:?#@[\]]+))(?::(\d{1,5}))?\/?$/i;

/** Fills in defaults. Throws `config-invalid` or `not-available-yet` with the path of what is wrong. */
export function listenerSettings(options: CoapBridgeOptions): readonly ListenerSettings[] {
  return (options.listen ?? DEFAULT_LISTEN).map((entry, at) =>
    settingsOf(typeof entry === "string" ? { url: entry } : entry, `coap.listen[${at}]`),
  );
}

function settingsOf(listener: CoapListener, path: string): ListenerSettings {
  const { url, anonymous = "loopback", ack = "stored" } = listener;
  const { ackTimeout = 10_000, maxPayload = 1_048_576 } = listener;
  if (!Number.isInteger(maxPayload) || maxPayload < 1 || maxPayload > LARGEST_BODY) {
    throw new NomqError(
      "config-invalid",
      `${path}.maxPayload must be a number of bytes, 1 to ${LARGEST_BODY}`,
    );
  }
  return { url, ...parseUrl(url, path), anonymous, ack, ackTimeout, maxPayload };
}

function parseUrl(text: string, path: string): Pick<ListenerSettings, "host" | "port"> {
  if (/^coap(s|\+tcp|s\+tcp|\+ws|s\+ws):/i.test(text)) {
    throw new NomqError("not-available-yet", `${path}: ${text}: only coap:// is available yet`);
  }
  const [, literal, other = "", port] = LISTENER.exec(text) ?? [];
  const host = plainHost(literal ?? other);
  const number = port === undefined ? DEFAULT_PORT : Number(port);
  if (host === "" || number > 65_535 || isGroupHost(host)) {
    throw new NomqError("config-invalid", `${path}: ${text} is no listener address; write coap://HOST:PORT`);
  }
  return { host, port: number };
}
