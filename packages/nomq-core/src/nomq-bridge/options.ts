import type { AckPoint, OutboxLimits } from "../bridge.ts";
import type { NomqNode, PeerKind } from "../node/contract.ts";
import type { Key } from "../packet/packet.ts";
import type { RandomSource } from "../packet/random.ts";
import type { Transport } from "../transport.ts";

/** A device that configuration names: it has an attachment of its own, `nomq:NAME`, from the start. */
export interface NomqDeviceOptions {
  readonly name: string;
  /** `HOST:PORT`, an IPv6 literal in brackets. */
  readonly address: string;
  /** Id of its key. Default: the first key. */
  readonly key?: string;
  /** Filters of what it gets. Default none. */
  readonly subscribe?: readonly string[];
  /** Default `device`. */
  readonly kind?: PeerKind;
  /** Default `learn`. */
  readonly clock?: "learn" | "any";
  /** What a v1 device, which reads text only, gets of a payload that is no UTF-8. Default `refuse`. */
  readonly binary?: "refuse" | "base64";
  /** Limits of its outbox. Default 10,000 messages, 64 MiB, drop-oldest. */
  readonly outbox?: Partial<OutboxLimits>;
}

/** A channel name that may arrive as a hash only, with the type of its payloads if configured. */
export type NomqChannelOptions = string | { readonly name: string; readonly contentType?: string };

/** One address on which NoMQ is spoken. */
export interface NomqListener {
  /** `udp://HOST:PORT`. */
  readonly url: string;
  /** When a publisher who is heard here is acknowledged. Default: the bridge's `ack`. */
  readonly ack?: AckPoint;
  /** How long `ack: delivered` waits here, milliseconds. Default: the bridge's `ackTimeout`. */
  readonly ackTimeout?: number;
}

/** What both forms of {@link NomqBridgeOptions} share. */
export interface NomqBridgeCommonOptions {
  readonly channels?: readonly NomqChannelOptions[];
  readonly devices?: readonly NomqDeviceOptions[];
  /**
   * Addresses, `HOST:PORT`, that also get every message of `broadcastFilters`: broadcast addresses and multicast
   * groups, of which a listener on every address becomes a member. Default none. It is sent at QoS 0 and sealed with
   * the first key; a message of QoS 1 or 2 ends there as `uncertain`.
   */
  readonly broadcast?: readonly string[];
  /** Filters of what is broadcast. Default none. */
  readonly broadcastFilters?: readonly string[];
  /** When a publisher is acknowledged. Default `stored`. */
  readonly ack?: AckPoint;
  /** How long `ack: delivered` waits, milliseconds. Default 10,000. */
  readonly ackTimeout?: number;
  /** `udp://HOST:PORT` where devices without Internet may ask for the time by SNTP. Default: nowhere. */
  readonly time?: string;
}

/** The `nomq` section of `gateway.yaml`, or a node made elsewhere (its peers must then name the devices). */
export type NomqBridgeOptions = NomqBridgeCommonOptions &
  (
    | {
        /** `udp://HOST:PORT`, or an object with one; one or more. */
        readonly listen: readonly (string | NomqListener)[];
        readonly keys: readonly Key[];
        /** Datagrams per second to one v1 device. Default 5. */
        readonly pace?: number;
        /** Milliseconds of silence after which a peer is asked by a heartbeat; 0 asks nobody. Default 60,000. */
        readonly probe?: number;
        /** Opens a listener. Default: a UDP socket on the URL's host and port. */
        readonly openTransport?: (listen: string) => Promise<Transport>;
        readonly random?: RandomSource;
      }
    | { readonly node: NomqNode }
  );
