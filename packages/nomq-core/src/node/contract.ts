import type { AbortOptions, StateChange } from "../bridge.ts";
import type { Qos } from "../message.ts";
import type { Endpoint } from "../transport.ts";
import type { NomqPeer } from "./peers/nomq-peer.ts";
import type { PresenceChange } from "./peers/presence-change.ts";
import type { UnknownChannel } from "./receiving/unknown-channels.ts";
import type { UnknownClock } from "./receiving/unknown-clocks.ts";
import type { NodeBroadcastOptions } from "./sending/broadcast-options.ts";

export type { PeerKind } from "../session/peer-kind.ts";
export type * from "./options.ts";
export type { NomqPeer } from "./peers/nomq-peer.ts";
export type { PresenceChange, PresenceReason } from "./peers/presence-change.ts";
export type { UnknownChannel } from "./receiving/unknown-channels.ts";
export type { UnknownClock } from "./receiving/unknown-clocks.ts";
export type { NodeBroadcastOptions } from "./sending/broadcast-options.ts";

/** A message that arrived: authentic, fresh and handed over once. */
export interface IncomingMessage {
  readonly channel: string;
  readonly payload: Uint8Array;
  /** 3 on the wire counts as 0. */
  readonly qos: Qos;
  /** As it stands in the packet. */
  readonly wireQos: Qos | 3;
  readonly retain: boolean;
  /** 0 to 15. */
  readonly priority: number;
  /** Seconds, 0 to 65,535; 0 = now or never. */
  readonly ttl: number;
  /** A node of ours sent it to everybody: passing it on by broadcast would never end. */
  readonly broadcast: boolean;
  readonly peer: NomqPeer;
  /** Where this packet came from, which need not be where the peer is reached. */
  readonly from: Endpoint;
  /** Names the transfer among all: `KEY/SESSION/PACKETID`, the numbers as 8 hex digits. */
  readonly transfer: string;
  /** What the replay window must remember of this packet; keep it together with the message. */
  readonly state: readonly StateChange[];
}

/** Whether the application took a message. `refused` withholds the acknowledgement; the peer may try again. */
export type Verdict = { readonly is: "accepted" } | { readonly is: "refused"; readonly reason: string };

/** How a peer came to notice. */
export type Heard =
  /** First packet of this address, or a session id that is no renewal: it may have lost all it knew. */
  | "first-contact"
  /** First packet after a heartbeat or a transfer it left unanswered, or after as long as they would have taken. */
  | "after-silence";

/** What the application does with what arrives. No method may throw. */
export interface NomqReceiver {
  /** ACK and PUBREC wait for the promise. A rejection counts as refused. Absent: {@link NomqNode.messages} has them. */
  message?(incoming: IncomingMessage): Promise<Verdict>;
  /** Exactly false refuses the subscription: there is no room for it. */
  subscribed?(peer: NomqPeer, channel: string): unknown;
  unsubscribed?(peer: NomqPeer, channel: string): void;
  heard?(peer: NomqPeer, why: Heard): void;
  /** Changes of the replay windows that belong to no accepted message, at most once a second. */
  remember?(changes: readonly StateChange[]): Promise<void>;
}

/** A known peer's name, or an address. */
export type PeerName = string | Endpoint;

/** Options of {@link NomqNode.messages}. */
export interface MessagesOptions extends AbortOptions {
  /** Only messages of these channels. Default: of all. */
  readonly channels?: readonly string[];
  /** Messages that may wait for this reader; beyond that QoS 1 and 2 are not acknowledged, and QoS 0 is lost. Default 256. */
  readonly queue?: number;
}

/** Options of {@link NomqNode.publish}. */
export interface NodePublishOptions {
  /** A known peer's name or an address. Absent: every peer that has subscribed to the channel. */
  readonly to?: string | Endpoint;
  /** Default 0. */
  readonly qos?: Qos;
  /**
   * Default false. Without `to` and with {@link NodeLimits.retained} above 0 the node keeps the message, among the last
   * of its channel, for peers that subscribe later and for known devices when they come back; empty, it clears the
   * channel.
   */
  readonly retain?: boolean;
  /**
   * Seconds until the outcome is `expired`, and what the wire says (at most 65,535); 0 = now or never. Absent: the
   * wire says 3,600 and nothing expires.
   */
  readonly ttl?: number;
  /** 0 to 15, default 0. */
  readonly priority?: number;
  /**
   * Continues an earlier transfer to a node of ours: its packet id from {@link PublishOutcome}, so that the message
   * arrives once. Or begins one under an id from {@link NomqNode.newTransfer}.
   */
  readonly packetId?: number;
  /** The session that the earlier transfer began with, also from {@link PublishOutcome}. Default: the one in use. */
  readonly sessionId?: number;
  /** Ends the attempt; the outcome is what is known then. */
  readonly signal?: AbortSignal;
}

/** Names a transfer among all of its sender. */
export interface TransferIds {
  readonly packetId: number;
  readonly sessionId: number;
}

/** What became of a published message. */
export type PublishOutcome = {
  readonly packetId: number;
  /** Our session the transfer began with; 0 when refused before, and for a broadcast, which is no transfer. */
  readonly sessionId: number;
  /** Whether a datagram has left. */
  readonly sent: boolean;
} & (
  | {
      /** QoS 0: handed to the network. QoS 1: acknowledged. QoS 2: received by the peer. */ readonly is: "delivered";
    }
  | { /** Nobody to send it to yet; it is kept for those who come. */ readonly is: "kept" }
  | { /** Its time to live ended first. */ readonly is: "expired" }
  | {
      /** QoS 2: the peer may have it and cannot be asked again. */ readonly is: "uncertain";
      readonly reason: string;
    }
  | {
      /**
       * `too-large`, `channel-invalid`, `ttl-invalid`, `no-subscriber`, `peer-unknown`, `session-unknown`, `limited`,
       * `busy`, `closed`; of a broadcast also `qos-not-possible`, `address-invalid`, `clock-invalid`, `key-unknown`.
       */ readonly is: "refused";
      readonly reason: string;
    }
  | {
      /** Tried as often as is sensible, or aborted; may be tried again. */ readonly is: "unanswered";
      readonly reason: string;
    }
);

/** Why a datagram was dropped (docs/errors.md). */
export type Rejection =
  | "malformed"
  | "bad-mac"
  | "replay"
  | "stale"
  | "clock-unknown"
  | "unknown-channel"
  | "own"
  | "limited";

/** Counts of a node; each datagram is in `accepted` or under exactly one rejection. */
export interface NodeStatus {
  readonly accepted: number;
  readonly rejected: Readonly<Record<Rejection, number>>;
  readonly sent: number;
  readonly unknownChannels: readonly UnknownChannel[];
  readonly unknownClocks: readonly UnknownClock[];
  /** Sizes of the tables that {@link NodeLimits} bounds. */
  readonly held: { readonly peers: number; readonly sessions: number; readonly transfers: number };
}

/** One local NoMQ endpoint. Disposing stops it. */
export interface NomqNode extends AsyncDisposable {
  /** The id of the session in use: random, another one after {@link NomqNodeOptions.sessionRenewal}. */
  readonly sessionId: number;
  /** Takes back what `state` and `remember` gave out; before `start`. */
  restore(state: AsyncIterable<readonly [key: Uint8Array, value: Uint8Array]>): Promise<void>;
  /** Sets who gets what arrives; before `start`. Without it messages are refused. */
  receive(receiver: NomqReceiver): void;
  /**
   * Messages as they arrive, from the first `next` until the node stops or the signal aborts. QoS 1 and 2 is
   * acknowledged when every reader of the channel has taken the message; while one has no room for it, it is not, and
   * the sender tries again. Throws `receiver-in-use` beside a receiver with `message`.
   */
  messages(options?: MessagesOptions): AsyncIterable<IncomingMessage>;
  /** Opens the transport and listens. Rejects with what the transport says. */
  start(): Promise<void>;
  /** Ends open transfers with what is known of them and closes the transport; idempotent. */
  stop(): Promise<void>;
  /** Where it listens; undefined before `start`. */
  local(): Endpoint | undefined;
  /** Resolves with the outcome; never rejects. Order per peer and channel is the caller's. */
  publish(channel: string, payload: Uint8Array, options?: NodePublishOptions): Promise<PublishOutcome>;
  /** Ids for a transfer to come, for who must remember them before it begins: it can then go on after a crash. */
  newTransfer(): TransferIds;
  /**
   * Sends a message to everybody who listens at an address, at most `limits.message` and 1,339 bytes. No more than
   * `pace` datagrams a second (and never more than 5) leave towards one port (IPv6: one group), for they cost every
   * device there its time; 64 messages wait for that at each address, the next is refused as `busy`. `delivered` says
   * that all copies were handed to the network. Never rejects.
   */
  broadcast(channel: string, payload: Uint8Array, options?: NodeBroadcastOptions): Promise<PublishOutcome>;
  /** Asks one node, or several, for a channel, again every minute until unsubscribed. Devices ignore it. */
  subscribe(channel: string, to: PeerName | readonly PeerName[]): Promise<void>;
  unsubscribe(channel: string, to: PeerName | readonly PeerName[]): Promise<void>;
  /** Makes the channel's hash known. False when it is no channel name or the table of names is full. */
  learn(name: string): boolean;
  /** The peer of that name or address, if known or heard. */
  peer(of: string | Endpoint): NomqPeer | undefined;
  /** Sends one heartbeat; resolves whether anything came from the peer within 5 s. Rejects as `subscribe` does. */
  probe(to: string | Endpoint): Promise<boolean>;
  /**
   * Who is there: the state of every peer now, then each change, until the node stops or the signal aborts. A slow
   * reader sees the latest of each peer.
   */
  presence(options?: AbortOptions): AsyncIterable<PresenceChange>;
  status(): NodeStatus;
}
