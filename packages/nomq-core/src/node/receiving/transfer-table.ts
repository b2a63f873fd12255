import { AgedMap } from "../../hub/aged-map.ts";
import type { ReceiveState } from "../../session/receiver.ts";
import type { Endpoint } from "../../transport.ts";
import type { PeerEntry } from "../peers/peer-entry.ts";

/** One message at QoS 1 or 2 on its way in, and after. */
export interface Transfer {
  readonly name: string;
  state: ReceiveState;
  readonly peer: PeerEntry;
  readonly from: Endpoint;
  readonly packetId: number;
  readonly channelId: Uint8Array;
  readonly macs: number[];
  readonly begunAt: number;
  /** When the application or the peer last had a say in it. */
  restedAt: number;
}

const LIFE_MS = 24 * 3600 * 1000;
/** Of QoS 2 after PUBREL. */
const COMPLETED_LIFE_MS = 600_000;
const STRAGGLERS_MS = 61_000;
const SWEEP_MS = 60_000;

/**
 * The transfers a node remembers, so that a repetition is told from a new message; at most `limit`. When it is full,
 * those give way whose repetition is stale or refused, then the oldest at QoS 1, which may come twice; a QoS 2 message
 * that could still be repeated stays, and if there are only such, the next message has no room.
 */
export class TransferTable {
  readonly #limit: number;
  // Oldest first.
  readonly #all = new Map<string, Transfer>();
  // Those that may be forgotten before their time, at once or a minute after their end: a full table is not searched.
  readonly #spent = new AgedMap<string, Transfer>();
  readonly #ended = new AgedMap<string, Transfer>();
  #nextSweepAt = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get size(): number {
    return this.#all.size;
  }

  get(name: string): Transfer | undefined {
    return this.#all.get(name);
  }

  add(transfer: Transfer): void {
    this.#all.set(transfer.name, transfer);
  }

  /**
   * Whether one more has a place; those that may be forgotten make it. An eighth is kept for configured peers: who has
   * the key and never ends what it begins shall not lock them out for a day.
   */
  hasRoom(now: number, isKnown: boolean): boolean {
    const most = isKnown ? this.#limit : this.#limit - Math.floor(this.#limit / 8);
    if (now >= this.#nextSweepAt) this.#sweep(now);
    if (this.#all.size >= most) this.#reclaim(now);
    return this.#all.size < most;
  }

  #sweep(now: number): void {
    this.#nextSweepAt = now + SWEEP_MS;
    for (const transfer of this.#all.values()) {
      const age = now - transfer.begunAt;
      if (age < COMPLETED_LIFE_MS) return;
      const { state, restedAt } = transfer;
      const isOver = state.is === "completed" || state.is === "refused";
      const isOld = isOver ? now - restedAt >= COMPLETED_LIFE_MS : age >= LIFE_MS;
      if (state.is !== "handing" && isOld) this.#forget(transfer);
    }
  }

  #reclaim(now: number): void {
    // Whose repetition is stale first: one at QoS 1 that comes again is handed over again.
    const harmless = this.#oldestEnded(now) ?? oldestOf(this.#spent);
    if (harmless !== undefined) this.#forget(harmless);
  }

  #oldestEnded(now: number): Transfer | undefined {
    for (let ended = oldestOf(this.#ended); ended !== undefined; ended = oldestOf(this.#ended)) {
      if (isHarmless(ended, now)) return ended;
      if (ended.state.is === "completed" || ended.peer.kind === "device") return undefined;
      // A device that has shown itself a node since: its PUBREL is still to come.
      this.#ended.delete(ended.name);
    }
    return undefined;
  }

  /** Its new state, which may let it give way. */
  enter(transfer: Transfer, state: ReceiveState, now: number): void {
    const { name } = transfer;
    transfer.state = state;
    this.#spent.delete(name);
    this.#ended.delete(name);
    // Anew each time, so that the order of those that have ended is the order in which they may be forgotten.
    transfer.restedAt = now;
    if (state.is === "refused" || (state.is === "received" && state.qos === 1)) {
      this.#spent.set(name, transfer);
    } else if (state.is !== "handing") this.#ended.set(name, transfer);
  }

  #forget({ name }: Transfer): void {
    this.#all.delete(name);
    this.#spent.delete(name);
    this.#ended.delete(name);
  }
}

function oldestOf(transfers: AgedMap<string, Transfer>): Transfer | undefined {
  const name = transfers.oldest();
  return name === undefined ? undefined : transfers.get(name);
}

/**
 * Whether a transfer may be forgotten before its time. QoS 1 allows that a message comes twice. A QoS 2 message whose
 * PUBREL has come was sent before that, and a minute later its copies are stale; a device sends none.
 */
function isHarmless(transfer: Transfer, now: number): boolean {
  const { state, peer, restedAt } = transfer;
  switch (state.is) {
    case "handing":
      return false;
    case "refused":
      return true;
    case "received":
      return state.qos === 1 || (peer.kind === "device" && now - restedAt > STRAGGLERS_MS);
    case "completed":
      return now - restedAt > STRAGGLERS_MS;
  }
}
