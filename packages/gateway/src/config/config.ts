import type { AckPoint, AnonymousRule, OutboxLimits } from "@nomq/core";
import type { AccessRule, AccessToken, AccessUser } from "../access/index.ts";
import type { CoapConfig } from "./coap-section.ts";
import type { KeepConfig } from "./keep-section.ts";
import type { XmppConfig } from "./xmpp-section.ts";

/** A secret as the file gives it: the text itself, a file that holds it, or an environment variable. */
export type Secret = string | { readonly file: string } | { readonly env: string };

/** The files of a listener's TLS. */
export interface ListenerTls {
  /** Certificate chain, PEM; paths are absolute. */
  readonly cert: string;
  readonly key: string;
  /** Authorities of client certificates; absent: those of the machine. */
  readonly ca?: string;
  /** Default `none`. */
  readonly clients?: "none" | "optional" | "required";
}

/** One listener; the file may give its URL alone. Durations in milliseconds, sizes in bytes. */
export interface ListenerConfig {
  readonly url: string;
  /** When an arriving message is acknowledged. Default `stored`. */
  readonly ack?: AckPoint;
  /** How long `ack: delivered` waits. Default 10 s. */
  readonly ackTimeout?: number;
  /** Default `loopback`. Or a list of address ranges. */
  readonly anonymous?: AnonymousRule;
  /** Further `Origin` values that WebSocket and HTTP accept. */
  readonly origins?: readonly string[];
  /** Larger payloads are refused. */
  readonly maxPayload?: number;
  /** Only where the URL's scheme says so. */
  readonly tls?: ListenerTls;
}

/** A group key of NoMQ v1, its halves as 64 hexadecimal digits. */
export interface KeyConfig {
  readonly id: string;
  readonly encryption: string;
  readonly mac: string;
  readonly dialect: "micropython" | "standard" | "auto";
}

/** A name that may arrive as a hash only, and what its payloads are. */
export interface ChannelConfig {
  readonly name: string;
  readonly contentType?: string;
}

/** A device that has a place of its own at the hub. */
export interface DeviceConfig {
  readonly name: string;
  /** `IP:PORT` or `[IPv6]:PORT`. */
  readonly address: string;
  /** The id of its key. Default: the first key. */
  readonly key?: string;
  readonly subscribe: readonly string[];
  readonly kind: "device" | "node";
  readonly clock: "learn" | "any";
  readonly binary: "refuse" | "base64";
  readonly outbox?: Partial<OutboxLimits>;
}

/** The `nomq` section. */
export interface NomqConfig {
  readonly listen: readonly ListenerConfig[];
  /** Absent: generated into the data folder on first start. */
  readonly keys?: readonly KeyConfig[];
  readonly channels: readonly ChannelConfig[];
  /** `IP:PORT` of broadcast addresses and multicast groups. */
  readonly broadcast: readonly string[];
  readonly broadcastFilters: readonly string[];
  /** Datagrams per second to one v1 device. */
  readonly pace: number;
  /** Milliseconds. */
  readonly probe: number;
  /** `udp://IP:PORT` of the time service. Absent: none. */
  readonly time?: string;
  readonly devices: readonly DeviceConfig[];
}

/** The `mqtt` section. */
export interface MqttConfig {
  readonly listen: readonly ListenerConfig[];
}

/** The `http` section. */
export interface HttpConfig {
  readonly listen: readonly ListenerConfig[];
}

/** The `log` section. */
export interface LogConfig {
  readonly level: "debug" | "info" | "warn" | "error";
  readonly format: "pretty" | "json";
  /** Absolute; null = standard error. */
  readonly file: string | null;
}

/** The `access` section, its secrets read. */
export interface AccessConfig {
  readonly users: readonly AccessUser[];
  readonly tokens: readonly AccessToken[];
  readonly rules: readonly AccessRule[];
}

/** `gateway.yaml` after validation: defaults filled in, paths absolute, secrets read. */
export interface Config {
  readonly version: 1;
  /** An absolute folder, or `memory`. */
  readonly data: string;
  /** What an acknowledged message survives: the end of the process, or a power cut. */
  readonly durability: "process" | "power";
  readonly nomq: NomqConfig;
  readonly mqtt: MqttConfig;
  readonly coap: CoapConfig;
  /** Absent: no XMPP. */
  readonly xmpp?: XmppConfig;
  readonly keep: KeepConfig;
  /** Absent: NoMQ keys may do everything, and so may anonymous clients where a listener takes them. */
  readonly access?: AccessConfig;
  readonly http: HttpConfig;
  readonly log: LogConfig;
}
