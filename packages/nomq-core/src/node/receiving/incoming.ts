import { addressText } from "../../address.ts";
import type { StateChange } from "../../bridge.ts";
import type { Clock } from "../../clock.ts";
import type { Qos } from "../../message.ts";
import { readPublishFlags, readWireQos } from "../../packet/flags.ts";
import type { Packet } from "../../packet/packet.ts";
import { changesOf, type Noted } from "../../session/note-book.ts";
import { type ReceiveInput, type ReceiveState, stepReceiver } from "../../session/receiver.ts";
import { macMark } from "../../session/replay-window.ts";
import type { Endpoint } from "../../transport.ts";
import type { IncomingMessage, NomqPeer, Verdict } from "../contract.ts";
import { type PeerEntry, viewOf } from "../peers/peer-entry.ts";
import { isBroadcast } from "../sending/broadcast.ts";
import type { Wire } from "../sending/wire.ts";
import { type Transfer, TransferTable } from "./transfer-table.ts";

/** A PUBLISH that is authentic and fresh. */
export interface Arrival {
  readonly packet: Packet & { readonly type: "PUBLISH" };
  readonly channel: string;
  readonly peer: PeerEntry;
  readonly from: Endpoint;
  readonly noted: Noted;
  readonly mac: Uint8Array;
}

/** The transfers of one node on their way in. */
export interface Incoming {
  /** False when there is no room for the transfer. */
  published(arrival: Arrival): boolean;
  /** Bytes that came before: answers them again if their transfer is open and their address the same. */
  repeated(
    packet: Packet,
    from: { readonly address: Endpoint; readonly keyId: string; readonly mac: number },
  ): void;
  released(packet: Packet, from: Endpoint, peer: PeerEntry): void;
  /** Messages that the application has and has not answered. */
  readonly handing: number;
  readonly held: number;
}

/** What incoming transfers work with. */
export interface IncomingUse {
  readonly clock: Clock;
  readonly wire: Wire;
  /** Transfers remembered. */
  readonly limit: number;
  readonly hand: (message: IncomingMessage) => Promise<Verdict>;
  /** Keeps what no message took with it. */
  readonly journal: (noted: Noted) => void;
}

const MOST_MACS = 8;

/** Makes the incoming half of a node. */
export function createIncoming(use: IncomingUse): Incoming {
  return new IncomingTransfers(use);
}

class IncomingTransfers implements Incoming {
  readonly #use: IncomingUse;
  readonly #transfers: TransferTable;
  #handing = 0;
  readonly #landed = (): void => {
    this.#handing -= 1;
  };

  constructor(use: IncomingUse) {
    this.#use = use;
    this.#transfers = new TransferTable(use.limit);
  }

  get handing(): number {
    return this.#handing;
  }

  get held(): number {
    return this.#transfers.size;
  }

  published(arrival: Arrival): boolean {
    const { qos } = readPublishFlags(arrival.packet.flags);
    if (qos === 0) {
      this.#use.journal(arrival.noted);
      this.#handing += 1;
      this.#use.hand(new ArrivedMessage(arrival, false)).then(this.#landed, this.#landed);
      return true;
    }
    const name = transferName(arrival.noted.session.keyId, arrival.packet);
    const known = this.#transfers.get(name);
    const now = this.#use.clock.monotonic();
    const step = stepReceiver(known?.state, { on: "publish", qos, now });
    if (step === undefined) return true;
    if (known === undefined && !this.#transfers.hasRoom(now, arrival.peer.known !== undefined)) {
      this.#use.journal(arrival.noted);
      return false;
    }
    const transfer = known ?? this.#begin(name, arrival, step.state);
    this.#transfers.enter(transfer, step.state, this.#use.clock.monotonic());
    if (transfer.macs.length < MOST_MACS) transfer.macs.push(macMark(arrival.mac));
    if (step.effect === undefined || "reply" in step.effect) {
      this.#use.journal(arrival.noted);
      if (step.effect !== undefined) this.#reply(transfer, step.effect.reply, arrival.from);
      return true;
    }
    void this.#handOver(transfer, arrival);
    return true;
  }

  repeated(packet: Packet, from: { address: Endpoint; keyId: string; mac: number }): void {
    if (packet.type !== "PUBLISH") return;
    const transfer = this.#transfers.get(transferName(from.keyId, packet));
    if (transfer === undefined || !transfer.macs.includes(from.mac)) return;
    if (addressText(transfer.from) !== addressText(from.address)) return;
    this.#step(transfer, { on: "identical", now: this.#use.clock.monotonic() }, from.address);
  }

  released(packet: Packet, from: Endpoint, peer: PeerEntry): void {
    const transfer = this.#transfers.get(transferName(peer.key.key.id, packet));
    if (transfer !== undefined) {
      this.#step(transfer, { on: "PUBREL" }, from);
    } else if (peer.kind === "node") {
      // We have forgotten it; the peer must not wait for ever.
      const { packetId, channelId } = packet;
      this.#use.wire.reply(peer, { type: "PUBCOMP", packetId, channelId, to: from });
    }
  }

  async #handOver(transfer: Transfer, arrival: Arrival): Promise<void> {
    const accepted = await this.#hand(arrival);
    if (!accepted) this.#use.journal(arrival.noted);
    this.#step(transfer, { on: "verdict", accepted }, arrival.from);
  }

  async #hand(arrival: Arrival): Promise<boolean> {
    this.#handing += 1;
    try {
      const verdict = await this.#use.hand(new ArrivedMessage(arrival, true));
      return verdict.is === "accepted";
    } catch {
      return false;
    } finally {
      this.#handing -= 1;
    }
  }

  #step(transfer: Transfer, input: ReceiveInput, to: Endpoint): void {
    const step = stepReceiver(transfer.state, input);
    if (step === undefined) return;
    if (step.state !== transfer.state)
      this.#transfers.enter(transfer, step.state, this.#use.clock.monotonic());
    if (step.effect !== undefined && "reply" in step.effect) this.#reply(transfer, step.effect.reply, to);
  }

  #reply(transfer: Transfer, type: "ACK" | "PUBREC" | "PUBCOMP", to: Endpoint): void {
    const { packetId, channelId } = transfer;
    this.#use.wire.reply(transfer.peer, { type, packetId, channelId, to });
  }

  #begin(name: string, { packet, peer, from }: Arrival, state: ReceiveState): Transfer {
    const begunAt = this.#use.clock.monotonic();
    // The packet's id is a view into the datagram.
    const channelId = packet.channelId.slice();
    const transfer: Transfer = {
      name,
      state,
      peer,
      from,
      packetId: packet.packetId,
      channelId,
      macs: [],
      begunAt,
      restedAt: begunAt,
    };
    this.#transfers.add(transfer);
    return transfer;
  }
}

function transferName(keyId: string, packet: Packet): string {
  return `${keyId}/${hex(packet.sessionId)}/${hex(packet.packetId)}`;
}

/** One shape for every message, and the transfer's name only when it is asked for: this is made for each packet. */
class ArrivedMessage implements IncomingMessage {
  readonly channel: string;
  readonly payload: Uint8Array;
  readonly qos: Qos;
  readonly wireQos: Qos | 3;
  readonly retain: boolean;
  readonly priority: number;
  readonly ttl: number;
  readonly broadcast: boolean;
  readonly peer: NomqPeer;
  readonly from: Endpoint;
  readonly state: readonly StateChange[];
  readonly #keyId: string;
  readonly #packet: Packet;

  constructor({ packet, channel, peer, from, noted }: Arrival, withState: boolean) {
    const { qos, retain, priority } = readPublishFlags(packet.flags);
    this.channel = channel;
    this.payload = packet.message;
    this.qos = qos;
    this.wireQos = readWireQos(packet.flags);
    this.retain = retain;
    this.priority = priority;
    this.ttl = packet.ttl;
    this.broadcast = isBroadcast(packet);
    this.peer = viewOf(peer);
    this.from = from;
    this.state = withState ? changesOf(noted) : [];
    this.#keyId = noted.session.keyId;
    this.#packet = packet;
  }

  get transfer(): string {
    return transferName(this.#keyId, this.#packet);
  }
}

function hex(value: number): string {
  return value.toString(16).padStart(8, "0");
}
