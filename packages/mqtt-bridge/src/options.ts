import { type AckPoint, type AnonymousRule, NomqError } from "@nomq/core";
import type { Authenticate } from "./access/login.ts";
import type { SessionLimits } from "./session-limits.ts";

/** One address on which MQTT clients are taken. */
export interface MqttListener {
  /** `mqtt://HOST:PORT` or `ws://HOST:PORT`; port 0 picks a free one; `[::]` is dual-stack. */
  readonly url: string;
  /** Default `loopback`. */
  readonly anonymous?: AnonymousRule;
  /** Web pages (`https://dash.example`) whose scripts may connect over WebSocket, besides pages of this very address. */
  readonly origins?: readonly string[];
  /** Largest packet taken, in bytes of the whole MQTT packet. Default 1 MiB. */
  readonly maxPayload?: number;
  /** When a QoS 1 or 2 publish is acknowledged. Default `stored`. */
  readonly ack?: AckPoint;
  /** How long `ack: delivered` waits, in milliseconds. Default 10,000. */
  readonly ackTimeout?: number;
}

/** The `mqtt` section of `gateway.yaml`. */
export interface MqttBridgeOptions {
  /** Default `mqtt://[::]:1883` and `ws://[::]:8083`. */
  readonly listen?: readonly (string | MqttListener)[];
  /** Who may log in by name. Default: nobody has an account, and credentials are not looked at. */
  readonly authenticate?: Authenticate;
  /** Bounds of what is kept for clients that are away. */
  readonly sessions?: SessionLimits;
}

/** A listener with every default filled in. */
export interface ListenerSettings {
  readonly url: string;
  readonly scheme: "mqtt" | "ws";
  /** Without brackets. */
  readonly host: string;
  readonly port: number;
  readonly anonymous: AnonymousRule;
  readonly origins: readonly string[];
  readonly maxPayload: number;
  readonly ack: AckPoint;
  readonly ackTimeout: number;
}

const DEFAULT_LISTEN = ["mqtt://[::]:1883", "ws://[::]:8083"];
const DEFAULT_PORTS: Readonly<Record<string, number>> = { "mqtt:": 1883, "ws:": 8083 };
/** The largest remaining length MQTT can say plus its header (MQTT 5.0 section 1.5.5). */
const LARGEST_PACKET = 268_435_460;

/** Fills in defaults. Throws `config-invalid` or `not-available-yet` with the path of what is wrong. */
export function listenerSettings(options: MqttBridgeOptions): readonly ListenerSettings[] {
  return (options.listen ?? DEFAULT_LISTEN).map((entry, at) =>
    settingsOf(typeof entry === "string" ? { url: entry } : entry, `mqtt.listen[${at}]`),
  );
}

function settingsOf(listener: MqttListener, path: string): ListenerSettings {
  const { scheme, host, port } = parseUrl(listener.url, path);
  const maxPayload = listener.maxPayload ?? 1_048_576;
  if (!Number.isInteger(maxPayload) || maxPayload < 128 || maxPayload > LARGEST_PACKET) {
    throw new NomqError(
      "config-invalid",
      `${path}.maxPayload must be a number of bytes, 128 to ${LARGEST_PACKET}`,
    );
  }
  return {
    url: listener.url,
    scheme,
    host,
    port,
    anonymous: listener.anonymous ?? "loopback",
    origins: listener.origins ?? [],
    maxPayload,
    ack: listener.ack ?? "stored",
    ackTimeout: listener.ackTimeout ?? 10_000,
  };
}

function parseUrl(text: string, path: string): Pick<ListenerSettings, "scheme" | "host" | "port"> {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol === "mqtts:" || url?.protocol === "wss:") {
    throw new NomqError(
      "not-available-yet",
      `${path}: ${text} needs TLS, which is not available yet; use mqtt:// or ws://`,
    );
  }
  if (url === undefined || !(url.protocol in DEFAULT_PORTS) || url.hostname === "") {
    throw new NomqError(
      "config-invalid",
      `${path}: ${text} is no listener address; write mqtt://HOST:PORT or ws://HOST:PORT`,
    );
  }
  const port = url.port === "" ? (DEFAULT_PORTS[url.protocol] ?? 0) : Number(url.port);
  return {
    scheme: url.protocol === "ws:" ? "ws" : "mqtt",
    host: url.hostname.replace(/^\[|\]$/g, ""),
    port,
  };
}
