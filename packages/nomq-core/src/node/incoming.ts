import { addressText } from "../address.ts";
import type { StateChange } from "../bridge.ts";
import type { Clock } from "../clock.ts";
import type { Qos } from "../message.ts";
import { readPublishFlags } from "../packet/flags.ts";
import type { Packet } from "../packet/packet.ts";
import { changesOf, type Noted } from "../session/note-book.ts";
import { type ReceiveInput, type ReceiveState, stepReceiver } from "../session/receiver.ts";
import { macMark } from "../session/replay-window.ts";
import type { Endpoint } from "../transport.ts";
import { isBroadcast } from "./broadcast.ts";
import type { IncomingMessage, NomqPeer, Verdict } from "./contract.ts";
import { type PeerEntry, viewOf } from "./peer-table.ts";
import type { Wire } from "./wire.ts";

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

interface Transfer {
  state: ReceiveState;
  readonly peer: PeerEntry;
  readonly from: Endpoint;
  readonly packetId: number;
  readonly channelId: Uint8Array;
  readonly macs: number[];
  readonly begunAt: number;
  /** When PUBREL came. */
  endedAt: number | undefined;
}

const LIFE_MS = 24 * 3600 * 1000;
/** Of QoS 2 after PUBREL. */
const COMPLETED_LIFE_MS = 600_000;
const STRAGGLERS_MS = 61_000;
const SWEEP_MS = 60_000;
/** A full table is not searched more often. */
const RECLAIM_EVERY_MS = 1000;
const MOST_MACS = 8;

/** Makes the incoming half of a node. */
export function createIncoming(use: IncomingUse): Incoming {
  return new IncomingTransfers(use);
}

class IncomingTransfers implements Incoming {
  readonly #use: IncomingUse;
  // Oldest first.
  readonly #transfers = new Map<string, Transfer>();
  #handing = 0;
  readonly #landed = (): void => {
    this.#handing -= 1;
  };
  #nextSweepAt = 0;
  #nextReclaimAt = 0;

  constructor(use: IncomingUse) {
    this.#use = use;
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
    if (known === undefined && !this.#hasRoom(now)) {
      this.#use.journal(arrival.noted);
      return false;
    }
    const transfer = known ?? this.#begin(name, arrival, step.state);
    transfer.state = step.state;
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
    transfer.state = step.state;
    if (step.state.is === "completed") transfer.endedAt ??= this.#use.clock.monotonic();
    if (step.effect !== undefined && "reply" in step.effect) this.#reply(transfer, step.effect.reply, to);
  }

  #reply(transfer: Transfer, type: "ACK" | "PUBREC" | "PUBCOMP", to: Endpoint): void {
    const { packetId, channelId } = transfer;
    this.#use.wire.reply(transfer.peer, { type, packetId, channelId, to });
  }

  /** Whether one more transfer has a place. */
  #hasRoom(now: number): boolean {
    const { limit } = this.#use;
    if (now >= this.#nextSweepAt) this.#sweep(now);
    // A 16th at a time: one at a time, each would walk over those before it.
    if (this.#transfers.size >= limit && now >= this.#nextReclaimAt)
      this.#reclaim(now, Math.ceil(limit / 16));
    return this.#transfers.size < limit;
  }

  #sweep(now: number): void {
    this.#nextSweepAt = now + SWEEP_MS;
    for (const [name, transfer] of this.#transfers) {
      const age = now - transfer.begunAt;
      if (age < COMPLETED_LIFE_MS) return;
      const { state, endedAt = transfer.begunAt } = transfer;
      const isOver = state.is === "completed" || state.is === "refused";
      const isOld = isOver ? now - endedAt >= COMPLETED_LIFE_MS : age >= LIFE_MS;
      if (state.is !== "handing" && isOld) this.#transfers.delete(name);
    }
  }

  #reclaim(now: number, count: number): void {
    let left = count;
    for (const [name, transfer] of this.#transfers) {
      if (left === 0) break;
      if (!isHarmless(transfer, now)) continue;
      this.#transfers.delete(name);
      left -= 1;
    }
    if (left === count) this.#nextReclaimAt = now + RECLAIM_EVERY_MS;
  }

  #begin(name: string, { packet, peer, from }: Arrival, state: ReceiveState): Transfer {
    const begunAt = this.#use.clock.monotonic();
    // The packet's id is a view into the datagram.
    const channelId = packet.channelId.slice();
    const transfer: Transfer = {
      state,
      peer,
      from,
      packetId: packet.packetId,
      channelId,
      macs: [],
      begunAt,
      endedAt: undefined,
    };
    this.#transfers.set(name, transfer);
    return transfer;
  }
}

/**
 * Whether a transfer may be forgotten before its time. QoS 1 allows that a message comes twice. A QoS 2 message whose
 * PUBREL has come was sent before that, and a minute later its copies are stale; a device sends none.
 */
function isHarmless(transfer: Transfer, now: number): boolean {
  const { state, peer, begunAt, endedAt = now } = transfer;
  switch (state.is) {
    case "handing":
      return false;
    case "refused":
      return true;
    case "received":
      return state.qos === 1 || (peer.kind === "device" && now - begunAt > STRAGGLERS_MS);
    case "completed":
      return now - endedAt > STRAGGLERS_MS;
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
  readonly retain: boolean;
  readonly priority: number;
  readonly ttl: number;
  readonly broadcast: boolean;
  readonly peer: NomqPeer;
  readonly state: readonly StateChange[];
  readonly #keyId: string;
  readonly #packet: Packet;

  constructor({ packet, channel, peer, noted }: Arrival, withState: boolean) {
    const { qos, retain, priority } = readPublishFlags(packet.flags);
    this.channel = channel;
    this.payload = packet.message;
    this.qos = qos;
    this.retain = retain;
    this.priority = priority;
    this.ttl = packet.ttl;
    this.broadcast = isBroadcast(packet);
    this.peer = viewOf(peer);
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
