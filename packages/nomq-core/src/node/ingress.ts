import { addressText } from "../address.ts";
import { isNoChannelId } from "../packet/channel-id.ts";
import { type Decoded, decodePacket } from "../packet/decode.ts";
import { isMarked } from "../packet/flags.ts";
import type { KeyRing, PacketKey } from "../packet/key-ring.ts";
import type { Packet } from "../packet/packet.ts";
import { CLOCK_TOLERANCE, type ClockPolicy, countsFrom2000 } from "../session/clock-offset.ts";
import type { Noted } from "../session/note-book.ts";
import { macMark, release, withhold } from "../session/replay-window.ts";
import type { Judgement, ReplayWindows } from "../session/replay-windows.ts";
import type { Endpoint } from "../transport.ts";
import { isBroadcast } from "./broadcast.ts";
import type { ChannelNames } from "./channel-names.ts";
import type { NodeLimits, NomqReceiver } from "./contract.ts";
import type { Incoming } from "./incoming.ts";
import type { Outgoing } from "./outgoing.ts";
import type { OwnSessions } from "./own-sessions.ts";
import { type PeerEntry, type PeerTable, viewOf } from "./peer-table.ts";
import type { Rejections } from "./rejections.ts";
import type { NodeTime } from "./time.ts";
import type { Wire } from "./wire.ts";

/** All that a datagram may touch. */
export interface IngressUse {
  readonly ring: KeyRing;
  readonly windows: ReplayWindows;
  readonly peers: PeerTable;
  readonly names: ChannelNames;
  readonly rejections: Rejections;
  readonly incoming: Incoming;
  readonly outgoing: Outgoing;
  readonly wire: Wire;
  readonly sessions: OwnSessions;
  readonly time: NodeTime;
  readonly limits: NodeLimits;
  readonly receiver: () => NomqReceiver | undefined;
  readonly journal: (noted: Noted) => void;
}

/** What one node does with datagrams. */
export interface Ingress {
  receive(datagram: Uint8Array, from: Endpoint): void;
  readonly accepted: number;
}

const SILENCE_MS = 600_000;
/** A session that continues another's clock this closely is a renewal, seconds. */
const RENEWAL_TOLERANCE = 2;
const MOST_SUBSCRIPTIONS = 1000;

/** Makes the way in of one node. */
export function createIngress(use: IngressUse): Ingress {
  return new NodeIngress(use);
}

type Fresh = Extract<Judgement, { is: "fresh" }>;

class NodeIngress implements Ingress {
  readonly #use: IngressUse;
  #accepted = 0;

  constructor(use: IngressUse) {
    this.#use = use;
  }

  get accepted(): number {
    return this.#accepted;
  }

  receive(datagram: Uint8Array, from: Endpoint): void {
    const { rejections, incoming, limits, ring } = this.#use;
    const decoded = decodePacket(datagram, ring);
    const key = decoded.ok ? ring.get(decoded.key.id) : undefined;
    if (!decoded.ok || key === undefined) {
      rejections.add(decoded.ok ? "bad-mac" : decoded.reason, from);
    } else if (this.#isOwn(decoded.packet)) {
      rejections.add("own", from);
    } else if (decoded.packet.type === "PUBLISH" && incoming.handing >= limits.handing) {
      rejections.add("limited", from);
    } else if (isBroadcast(decoded.packet) && this.#isForOthers(decoded.packet.timestamp)) {
      rejections.add("stale", from);
    } else {
      this.#admit(decoded, from, key);
    }
  }

  /** Others may draw an id that was ours, but devices do not set our mark. */
  #isOwn({ type, flags, sessionId }: Packet): boolean {
    return isMarked(type, flags) && this.#use.sessions.has(sessionId);
  }

  /** The copy for devices that count from 2000: as the first of its session it would set the session's clock wrong. */
  #isForOthers(timestamp: number): boolean {
    return countsFrom2000(timestamp - this.#use.time.seconds());
  }

  #admit(decoded: Decoded, from: Endpoint, key: PacketKey): void {
    const { rejections, incoming } = this.#use;
    const judgement = this.#judge(decoded, from);
    switch (judgement.is) {
      case "clock-unknown":
      case "stale": {
        const { is: reason, ...clock } = judgement;
        const { sessionId } = decoded.packet;
        rejections.addOddClock({ ...clock, reason, sessionId, key: key.key.id }, from);
        break;
      }
      case "limited":
        rejections.add("limited", from);
        break;
      case "withheld":
        this.#takeAgain(decoded, { from, key, noted: judgement.noted });
        break;
      case "replay":
        incoming.repeated(decoded.packet, { address: from, keyId: key.key.id, mac: macMark(decoded.mac) });
        rejections.add("replay", from);
        break;
      case "fresh":
        this.#take(decoded, { from, key, fresh: judgement });
        break;
    }
  }

  #judge({ packet, key, mac }: Decoded, from: Endpoint): Judgement {
    const { timestamp, sessionId } = packet;
    const mark = packet.type === "PUBLISH" ? packet.nonce : macMark(mac);
    const now = this.#use.time.seconds();
    const policy = (): ClockPolicy => this.#policyFor(from, key.id, timestamp - now);
    return this.#use.windows.judge({ keyId: key.id, sessionId, timestamp, mark, policy }, now);
  }

  /** A peer whose clock is known may renew its session with it, whatever our own clock has done since. */
  #policyFor(from: Endpoint, keyId: string, offset: number): ClockPolicy {
    const peer = this.#use.peers.find(from);
    if (peer === undefined || peer.key.key.id !== keyId) return "learn";
    const { clock, heardAt, known } = peer;
    const continues = clock !== undefined && heardAt !== undefined;
    if (continues && Math.abs(offset - clock) <= CLOCK_TOLERANCE) return "any";
    return known?.clock ?? "learn";
  }

  #take(decoded: Decoded, by: { from: Endpoint; key: PacketKey; fresh: Fresh }): void {
    const { from, key, fresh } = by;
    const { packet } = decoded;
    const { noted } = fresh;
    const peer = this.#use.peers.heardFrom(from, key, noted.window);
    this.#learnPeer(peer, decoded, by);
    if (packet.type !== "PUBLISH") {
      this.#use.journal(noted);
      this.#control(packet, from, peer);
      return;
    }
    const channel = this.#use.names.find(packet.channelId);
    if (channel === undefined) {
      this.#use.journal(noted);
      // Not acknowledged: the sender tries again, perhaps with the same bytes, and by then it may have a name.
      withhold(noted.window, noted.seen.mark, addressText(from));
      this.#use.rejections.addUnknownChannel(packet.channelId, from);
      return;
    }
    this.#accepted += 1;
    this.#use.incoming.published({ packet, channel, peer, from, noted, mac: decoded.mac });
  }

  /** The same bytes of a message on a channel that had no name: taken once it has one, from its own address only. */
  #takeAgain({ packet, mac }: Decoded, by: { from: Endpoint; key: PacketKey; noted: Noted }): void {
    const { from, key, noted } = by;
    const { window, seen } = noted;
    if (packet.type !== "PUBLISH" || window.withheld?.get(seen.mark) !== addressText(from)) {
      this.#use.rejections.add("replay", from);
      return;
    }
    const channel = this.#use.names.find(packet.channelId);
    if (channel === undefined) {
      this.#use.rejections.addUnknownChannel(packet.channelId, from);
    } else if (release(window, seen.mark)) {
      const peer = this.#use.peers.heardFrom(from, key, window);
      this.#accepted += 1;
      this.#use.incoming.published({ packet, channel, peer, from, noted, mac });
    }
  }

  #control(packet: Exclude<Packet, { type: "PUBLISH" }>, from: Endpoint, peer: PeerEntry): void {
    if (packet.type === "HEARTBEAT" && !isNoChannelId(packet.channelId)) {
      if (this.#use.names.find(packet.channelId) === undefined) {
        this.#use.rejections.addUnknownChannel(packet.channelId, from);
        return;
      }
      this.#use.wire.heartbeat(peer, from);
    }
    this.#accepted += 1;
    switch (packet.type) {
      case "HEARTBEAT":
        break;
      case "SUBSCRIBE":
      case "UNSUBSCRIBE":
        this.#subscription(packet, peer);
        break;
      case "PUBREL":
        this.#use.incoming.released(packet, from, peer);
        break;
      case "ACK":
      case "PUBREC":
      case "PUBCOMP":
        this.#use.outgoing.answered({ type: packet.type, packetId: packet.packetId }, from, peer);
        break;
    }
  }

  #subscription(packet: Packet & { type: "SUBSCRIBE" | "UNSUBSCRIBE" }, peer: PeerEntry): void {
    const { channel } = packet;
    const receiver = this.#use.receiver();
    if (packet.type === "UNSUBSCRIBE") {
      if (peer.subscriptions.delete(channel)) receiver?.unsubscribed?.(viewOf(peer), channel);
      return;
    }
    const isNew = !peer.subscriptions.has(channel);
    if (isNew && !(this.#hasRoom(peer) && this.#use.names.learn(channel))) return;
    peer.subscriptions.add(channel);
    if (isNew) receiver?.subscribed?.(viewOf(peer), channel);
  }

  /** Peers with subscriptions stay in the table, so they may fill only half of it. */
  #hasRoom(peer: PeerEntry): boolean {
    if (peer.subscriptions.size > 0) return peer.subscriptions.size < MOST_SUBSCRIPTIONS;
    let subscribers = 0;
    for (const other of this.#use.peers.all()) if (other.subscriptions.size > 0) subscribers += 1;
    return subscribers < this.#use.limits.peers / 2;
  }

  #learnPeer(peer: PeerEntry, decoded: Decoded, by: { from: Endpoint; key: PacketKey; fresh: Fresh }): void {
    const { packet, dialect } = decoded;
    const { window } = by.fresh.noted;
    const now = this.#use.time.monotonic();
    const why = this.#contact(peer, by, now);
    if (by.fresh.first) this.#use.rejections.begun(by.from);
    if (peer.known !== undefined) window.peer = peer.known.name;
    if (isMarked(packet.type, packet.flags)) {
      window.marked = true;
      peer.kind = "node";
    }
    peer.address = by.from;
    peer.key = by.key;
    peer.dialect = dialect;
    peer.clock = window.clock;
    peer.formerClock = undefined;
    peer.sessionId = packet.sessionId;
    peer.heardAt = now;
    peer.silent = false;
    if (why !== undefined) this.#use.receiver()?.heard?.(viewOf(peer), why);
  }

  /** Whether this packet shows that the peer may have lost what it was sent. */
  #contact(
    peer: PeerEntry,
    { from, fresh }: { from: Endpoint; fresh: Fresh },
    now: number,
  ): "first-contact" | "after-silence" | undefined {
    const silent = peer.silent || (peer.heardAt !== undefined && now - peer.heardAt > SILENCE_MS);
    if (!fresh.first) return silent ? "after-silence" : undefined;
    const { offset } = fresh.noted.window;
    const continues =
      peer.clock !== undefined &&
      peer.heardAt !== undefined &&
      from.host === peer.address.host &&
      from.port === peer.address.port &&
      Math.abs(peer.clock - offset) <= RENEWAL_TOLERANCE;
    if (!continues) return "first-contact";
    return silent ? "after-silence" : undefined;
  }
}
