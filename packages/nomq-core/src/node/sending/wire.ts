import type { Clock } from "../../clock.ts";
import type { Log } from "../../log.ts";
import type { Qos } from "../../message.ts";
import { noChannelId } from "../../packet/channel-id.ts";
import { encodePacket, publishSize } from "../../packet/encode.ts";
import { publishFlags, withMark } from "../../packet/flags.ts";
import { LARGEST_DATAGRAM } from "../../packet/layout.ts";
import type { Packet } from "../../packet/packet.ts";
import { type RandomSource, randomU32 } from "../../packet/random.ts";
import { departed, replied } from "../../session/pace.ts";
import type { Endpoint, Transport } from "../../transport.ts";
import type { OwnSessions } from "../own-sessions.ts";
import type { PeerEntry } from "../peers/peer-entry.ts";
import type { NodeTime } from "../time.ts";

/** The longest message a v1 device can read without IP fragmentation, bytes (protocol.md section 8). */
export const MAX_DEVICE_MESSAGE = 1339;

/** `ttl` of every packet whose sender says nothing else, seconds. */
const DEFAULT_TTL = 3600;
const LONGEST_TTL = 65_535;

/** A channel as SUBSCRIBE names it. */
export interface WireChannel {
  readonly name: string;
  readonly id: Uint8Array;
}

/** A message on its way out. */
export interface Outbound {
  readonly channelId: Uint8Array;
  readonly payload: Uint8Array;
  readonly qos: Qos;
  readonly retain: boolean;
  readonly priority: number;
  readonly packetId: number;
  /** The session of ours in which the transfer began: receivers tell transfers apart by it. */
  readonly sessionId: number;
}

/** When a message is sealed and how long it has left, in seconds. */
export interface Stamp {
  /** The peer's clock less ours. */
  readonly clock: number;
  /** Undefined: {@link DEFAULT_TTL}. */
  readonly ttl: number | undefined;
}

/** What a message is sealed for: a peer, or all that hold a key. */
export type SealFor = Pick<PeerEntry, "key" | "dialect" | "kind">;

/** Seals packets and puts them on the network. */
export interface Wire {
  /** Seals a PUBLISH as of now for a peer whose clock is off by `clock` seconds. */
  seal(peer: SealFor, message: Outbound, as: Stamp): Uint8Array;
  /** Answers a packet at once, to the address it came from. */
  reply(peer: PeerEntry, reply: Reply): void;
  name(peer: PeerEntry, type: "SUBSCRIBE" | "UNSUBSCRIBE", channel: WireChannel): void;
  heartbeat(peer: PeerEntry, to: Endpoint): void;
  /** Asks whether a peer is there, with a channel it subscribes to, stamped for a clock that is off by `clock`. */
  probe(peer: PeerEntry, channelId: Uint8Array, clock: number): void;
  /** Hands a message to the network, counting it towards the peer's pace. */
  send(peer: PeerEntry, datagram: Uint8Array): void;
  /** Hands a message for everybody to the network. */
  broadcast(datagram: Uint8Array, to: Endpoint): void;
  /** For a message: not 0, and none of the last 2^32 - 1 messages had it. */
  nextPacketId(): number;
  freshId(): number;
  readonly sent: number;
}

/** An answer to a packet. */
export interface Reply {
  readonly type: "ACK" | "PUBREC" | "PUBREL" | "PUBCOMP";
  readonly packetId: number;
  readonly channelId: Uint8Array;
  readonly to: Endpoint;
  /** Default: the session in use. */
  readonly sessionId?: number;
}

/** What a wire works with. */
export interface WireUse {
  readonly clock: Clock;
  readonly time: NodeTime;
  readonly sessions: OwnSessions;
  readonly log: Log;
  readonly random: RandomSource;
  /** Datagrams per second towards one device. */
  readonly pace: number;
  readonly transport: () => Transport | undefined;
}

/** Bytes of the datagram that a message to this peer needs, and whether the peer can take it. */
export function fits(peer: PeerEntry, bytes: number): boolean {
  if (peer.kind === "device") return bytes <= MAX_DEVICE_MESSAGE;
  return publishSize(bytes, { dialect: peer.dialect, layout: 16 }) <= LARGEST_DATAGRAM;
}

/** Makes the wire of one node. */
export function createWire(use: WireUse): Wire {
  return new NodeWire(use);
}

class NodeWire implements Wire {
  readonly #use: WireUse;
  // Counted from a random start, so that no two packets of a session share one.
  #nonce: number;
  // Counted too: of 54,000 messages with ids drawn at random, two share one with a probability of a third, and the
  // receiver takes the second for a repetition of the first.
  #packetId: number;
  #sent = 0;
  #sayFailure = true;

  constructor(use: WireUse) {
    this.#use = use;
    this.#nonce = randomU32(use.random);
    this.#packetId = randomU32(use.random);
  }

  get sent(): number {
    return this.#sent;
  }

  nextPacketId(): number {
    this.#packetId = (this.#packetId + 1) >>> 0 || 1;
    return this.#packetId;
  }

  freshId(): number {
    return randomU32(this.#use.random);
  }

  seal(peer: SealFor, message: Outbound, as: Stamp): Uint8Array {
    this.#nonce = (this.#nonce + 1) >>> 0;
    const timestamp = this.#stamp(as.clock);
    const packet: Packet = {
      type: "PUBLISH",
      flags: withMark("PUBLISH", publishFlags(message)),
      packetId: message.packetId,
      sessionId: message.sessionId,
      ttl: as.ttl === undefined ? DEFAULT_TTL : Math.min(Math.max(Math.ceil(as.ttl), 0), LONGEST_TTL),
      timestamp,
      channelId: message.channelId,
      nonce: this.#nonce,
      innerTimestamp: BigInt(timestamp),
      message: message.payload,
      layout: peer.kind === "device" ? 20 : 16,
    };
    return this.#encode(peer, packet);
  }

  reply(peer: PeerEntry, reply: Reply): void {
    const { type, packetId, channelId, to, sessionId = this.#use.sessions.id } = reply;
    const flags = withMark(type, type === "ACK" ? 1 : 0);
    const head = { ...this.#head(peer), flags, packetId, sessionId, channelId };
    this.#answer(peer, this.#encode(peer, { ...head, type, acknowledged: packetId }), to);
  }

  name(peer: PeerEntry, type: "SUBSCRIBE" | "UNSUBSCRIBE", channel: WireChannel): void {
    const head = { ...this.#head(peer), flags: withMark(type, 0), channelId: channel.id };
    this.send(peer, this.#encode(peer, { ...head, type, channel: channel.name }));
  }

  heartbeat(peer: PeerEntry, to: Endpoint): void {
    const head = { ...this.#head(peer), flags: withMark("HEARTBEAT", 0), channelId: noChannelId() };
    this.#answer(peer, this.#encode(peer, { ...head, type: "HEARTBEAT" }), to);
  }

  probe(peer: PeerEntry, channelId: Uint8Array, clock: number): void {
    const timestamp = this.#stamp(clock);
    const head = { ...this.#head(peer), timestamp, flags: withMark("HEARTBEAT", 0), channelId };
    this.send(peer, this.#encode(peer, { ...head, type: "HEARTBEAT" }));
  }

  send(peer: PeerEntry, datagram: Uint8Array): void {
    if (peer.kind === "device") {
      peer.pace = departed(peer.pace, this.#use.clock.monotonic(), this.#use.pace);
    }
    this.#put(datagram, peer.address);
  }

  broadcast(datagram: Uint8Array, to: Endpoint): void {
    this.#put(datagram, to);
  }

  #answer(peer: PeerEntry, datagram: Uint8Array, to: Endpoint): void {
    if (peer.kind === "device") {
      peer.pace = replied(peer.pace, this.#use.clock.monotonic(), this.#use.pace);
    }
    this.#put(datagram, to);
  }

  #put(datagram: Uint8Array, to: Endpoint): void {
    const transport = this.#use.transport();
    if (transport === undefined) return;
    this.#sent += 1;
    transport.send(datagram, to).catch((error: unknown) => this.#failed(error));
  }

  #failed(error: unknown): void {
    if (!this.#sayFailure) return;
    this.#sayFailure = false;
    const reason = error instanceof Error ? error.message : "unknown";
    this.#use.log.warn("a datagram could not be sent; said once", { reason });
  }

  #head(peer: PeerEntry): Pick<Packet, "packetId" | "sessionId" | "ttl" | "timestamp"> {
    const timestamp = this.#stampFor(peer);
    return { packetId: this.freshId(), sessionId: this.#use.sessions.id, ttl: DEFAULT_TTL, timestamp };
  }

  #encode(peer: SealFor, packet: Packet): Uint8Array {
    return encodePacket(packet, peer.key, { dialect: peer.dialect, random: this.#use.random });
  }

  #stampFor(peer: PeerEntry): number {
    // Read first: a step found in reading it changes the peer's clock.
    const now = this.#use.time.seconds();
    return (now + (peer.clock ?? 0)) >>> 0;
  }

  #stamp(clock: number): number {
    return (this.#use.time.seconds() + clock) >>> 0;
  }
}
