import type { Clock } from "../clock.ts";
import type { Log } from "../log.ts";
import type { Key } from "../packet/packet.ts";
import type { RandomSource } from "../packet/random.ts";
import type { PeerKind } from "../session/peer-kind.ts";
import type { Endpoint, Transport } from "../transport.ts";

/** A peer told by configuration. */
export interface KnownPeer {
  /** Names it in outcomes, logs and attachments. */
  readonly name: string;
  readonly address: Endpoint;
  /** Id of the key it speaks with. Default: the first key. */
  readonly key?: string;
  /** Default `device`; a packet of it with our mark makes it a `node`. */
  readonly kind?: PeerKind;
  /** `learn` accepts the clocks of protocol.md section 7; `any` accepts every clock at first contact. Default `learn`. */
  readonly clock?: "learn" | "any";
  /**
   * What a device subscribes to; it cannot say so itself. It gets what is published there without `to`, and a
   * heartbeat with the first of them shows whether it is there. Default none.
   */
  readonly channels?: readonly string[];
}

/** What a node may hold at once. */
export interface NodeLimits {
  /**
   * Addresses heard or reached besides the known peers. Those idle for an hour give way; if there are none, packets of
   * new addresses are `limited`. Default 10,000.
   */
  readonly peers: number;
  /**
   * Replay windows kept, one per key and session id, 28 h each; an eighth is kept for known peers. When full, new
   * sessions are `limited`: a forgotten one could be replayed. Default 200,000.
   */
  readonly sessions: number;
  /** Packets one replay window remembers; all together remember 16 times as many, and 16 each beyond. Default 131,072. */
  readonly window: number;
  /**
   * Transfers remembered in each direction. What arrives beyond is `limited`, but for those whose end does no harm:
   * QoS 1 once acknowledged, QoS 2 a minute after its end. An eighth of what arrives is kept for known peers. Default
   * 65,536.
   */
  readonly transfers: number;
  /** Messages handed to the application and not yet answered. Default 4,096. */
  readonly handing: number;
  /** Channel ids without a name that are listed, and as many odd clocks. Default 256. */
  readonly unknown: number;
  /**
   * Channel names known: from options, {@link NomqNode.learn}, own and others' subscriptions. An eighth is kept from
   * others', which may have 64 bytes a name, taken together. Default 20.
   */
  readonly channels: number;
  /** Own messages at QoS 1 and 2 that await an answer; further ones are refused as `busy`. Default 50. */
  readonly pending: number;
  /** Own retained messages kept for each channel; 0 keeps none. Default 5. */
  readonly retained: number;
  /** Bytes of an own message; larger ones are refused as `too-large`. Default 1,024. */
  readonly message: number;
}

/** Options of {@link createNomqNode}. */
export interface NomqNodeOptions {
  /** Or a function that opens it when the node starts. The node closes it. */
  readonly transport: Transport | (() => Promise<Transport>);
  /** At least one; the first seals packets to peers whose key is not known. */
  readonly keys: readonly Key[];
  /** Default the machine's. */
  readonly clock?: Clock;
  /** Default silent. */
  readonly log?: Log;
  /** Default the machine's, pooled. */
  readonly random?: RandomSource;
  /** Names to know from the start, as with {@link NomqNode.learn}. */
  readonly channels?: readonly string[];
  readonly peers?: readonly KnownPeer[];
  /** Datagrams per second towards one v1 device. Default 5. */
  readonly pace?: number;
  /** A message published so long after its session began, milliseconds, begins another. Default 300,000. */
  readonly sessionRenewal?: number;
  /** A peer that nothing was heard of for so long, milliseconds, is offline and its subscriptions end. Default 300,000. */
  readonly sessionTimeout?: number;
  /**
   * A known peer or subscriber that nothing was heard of for so long, milliseconds, is asked by a heartbeat whether it
   * is there. 0 asks nobody. Default 60,000.
   */
  readonly probe?: number;
  /** Each where it differs from its default. */
  readonly limits?: Partial<NodeLimits>;
}
