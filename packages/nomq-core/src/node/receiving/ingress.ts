import { addressText } from "../../address.ts";
import { isNoChannelId } from "../../packet/channel-id.ts";
import { type Decoded, decodePacket } from "../../packet/decode.ts";
import { isMarked } from "../../packet/flags.ts";
import type { KeyRing, PacketKey } from "../../packet/key-ring.ts";
import type { Packet } from "../../packet/packet.ts";
import { CLOCK_TOLERANCE, type ClockPolicy, countsFrom2000 } from "../../session/clock-offset.ts";
import type { Noted } from "../../session/note-book.ts";
import { macMark, release, withhold } from "../../session/replay-window.ts";
import type { Judgement, ReplayWindows } from "../../session/replay-windows.ts";
import type { Endpoint } from "../../transport.ts";
import type { ChannelNames } from "../channel-names.ts";
import type { NodeLimits } from "../contract.ts";
import type { OwnSessions } from "../own-sessions.ts";
import type { PeerEntry } from "../peers/peer-entry.ts";
import type { PeerTable } from "../peers/peer-table.ts";
import type { Subscriptions } from "../peers/subscriptions.ts";
import type { Outgoing } from "../sending/outgoing.ts";
import type { Wire } from "../sending/wire.ts";
import type { NodeTime } from "../time.ts";
import type { Arrived, Contact } from "./contact.ts";
import type { Arrival, Incoming } from "./incoming.ts";
import type { Rejections } from "./rejections.ts";

/** All that a datagram may touch. */
export interface IngressUse {
  readonly ring: KeyRing;
  readonly windows: ReplayWindows;
  readonly peers: PeerTable;
  readonly names: ChannelNames;
  readonly rejections: Rejections;
  readonly contact: Contact;
  readonly subscriptions: Subscriptions;
  readonly incoming: Incoming;
  readonly outgoing: Outgoing;
  readonly wire: Wire;
  readonly sessions: OwnSessions;
  readonly time: NodeTime;
  readonly limits: NodeLimits;
  readonly journal: (noted: Noted) => void;
}

/** What one node does with datagrams. */
export interface Ingress {
  receive(datagram: Uint8Array, from: Endpoint): void;
  readonly accepted: number;
}

/** Makes the way in of one node. */
export function createIngress(use: IngressUse): Ingress {
  return new NodeIngress(use);
}

const ANSWERS: ReadonlySet<Packet["type"]> = new Set(["ACK", "PUBREC", "PUBCOMP"]);

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
      rejections.expected("own");
    } else if (decoded.packet.type === "PUBLISH" && incoming.handing >= limits.handing) {
      rejections.add("limited", from);
    } else if (this.#isForDevices(decoded.packet)) {
      rejections.expected("stale");
    } else {
      this.#admit(decoded, from, key);
    }
  }

  /** Others may draw an id that was ours, but devices do not set our mark. */
  #isOwn({ type, flags, sessionId }: Packet): boolean {
    return isMarked(type, flags) && this.#use.sessions.has(sessionId);
  }

  /**
   * A node's copy for devices that count from 2000, sent to everybody or to one it has never heard: as the first of its
   * session it would set the session's clock wrong, and the copies for our clock would be stale.
   */
  #isForDevices({ type, flags, timestamp }: Packet): boolean {
    return isMarked(type, flags) && countsFrom2000(timestamp - this.#use.time.seconds());
  }

  #admit(decoded: Decoded, from: Endpoint, key: PacketKey): void {
    const { rejections, incoming } = this.#use;
    const judgement = this.#judge(decoded, from);
    switch (judgement.is) {
      case "clock-unknown":
      case "stale": {
        const { is: reason, ...clock } = judgement;
        const { sessionId } = decoded.packet;
        const peer = this.#use.peers.find(from);
        const device = peer?.key === key ? peer.known?.name : undefined;
        rejections.addOddClock({ ...clock, reason, sessionId, key: key.key.id, device }, from);
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
    const isKnown = (): boolean => this.#use.peers.find(from)?.known !== undefined;
    // From elsewhere it could be a recording that leads what we send astray.
    const isAnswer = ANSWERS.has(packet.type) && isKnown();
    const candidate = { keyId: key.id, sessionId, timestamp, mark, policy, isKnown, isAnswer };
    return this.#use.windows.judge(candidate, now);
  }

  /**
   * A peer whose clock is known may renew its session with it, whatever our own clock has done since, and whether it was
   * learnt in this run or before a restart: nothing recorded goes on with a clock. After a step forward it may follow
   * either side of the step, as what we sent it did; what is recorded lies behind both.
   */
  #policyFor(from: Endpoint, keyId: string, offset: number): ClockPolicy {
    const peer = this.#use.peers.find(from);
    if (peer === undefined || peer.key.key.id !== keyId) return "learn";
    const { clock, formerClock, known } = peer;
    const goesOn = [clock, formerClock].some(
      (one) => one !== undefined && Math.abs(offset - one) <= CLOCK_TOLERANCE,
    );
    return goesOn ? "any" : (known?.clock ?? "learn");
  }

  #take(decoded: Decoded, by: Arrived): void {
    const { from, key, fresh } = by;
    const { packet } = decoded;
    const { noted } = fresh;
    const peer = this.#use.peers.heardFrom(from, key, noted.window);
    if (peer === undefined) {
      this.#use.journal(noted);
      this.#use.rejections.add("limited", from);
      return;
    }
    this.#use.contact.heard(peer, decoded, by);
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
    this.#publish({ packet, channel, peer, from, noted, mac: decoded.mac });
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
      if (peer === undefined) this.#use.rejections.add("limited", from);
      else this.#publish({ packet, channel, peer, from, noted, mac });
    }
  }

  #publish(arrival: Arrival): void {
    if (this.#use.incoming.published(arrival)) this.#accepted += 1;
    else this.#use.rejections.add("limited", arrival.from);
  }

  #control(packet: Exclude<Packet, { type: "PUBLISH" }>, from: Endpoint, peer: PeerEntry): void {
    if (packet.type === "HEARTBEAT" && !isNoChannelId(packet.channelId)) {
      if (this.#use.names.find(packet.channelId) === undefined) {
        this.#use.rejections.addUnknownChannel(packet.channelId, from);
        return;
      }
      this.#use.wire.heartbeat(peer, from);
    }
    if (packet.type === "SUBSCRIBE" && !this.#use.subscriptions.add(peer, packet.channel)) {
      this.#use.rejections.add("limited", from);
      return;
    }
    this.#accepted += 1;
    switch (packet.type) {
      case "HEARTBEAT":
      case "SUBSCRIBE":
        break;
      case "UNSUBSCRIBE":
        this.#use.subscriptions.remove(peer, packet.channel);
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
}
