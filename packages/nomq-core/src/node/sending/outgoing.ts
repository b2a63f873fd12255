import type { Endpoint } from "../../transport.ts";
import type { NodeLimits, PublishOutcome, TransferIds } from "../contract.ts";
import type { PeerEntry } from "../peers/peer-entry.ts";
import { type Departure, Transfer, type TransferUse } from "./transfer.ts";
import type { Wire } from "./wire.ts";

/** What an answer says of a transfer. */
export interface Answer {
  readonly type: "ACK" | "PUBREC" | "PUBCOMP";
  readonly packetId: number;
}

/** The transfers of one node on their way out. */
export interface Outgoing {
  send(departure: Departure): Promise<PublishOutcome>;
  /** Ids that no transfer has had. */
  newTransfer(): TransferIds;
  /** An ACK, PUBREC or PUBCOMP. */
  answered(packet: Answer, from: Endpoint, peer: PeerEntry): void;
  /** The peer was away and is there again: what is open to it is sent soon. */
  hurry(peer: PeerEntry): void;
  stop(): void;
  readonly open: number;
}

/** What outgoing transfers work with. */
export interface OutgoingUse extends TransferUse {
  /** `transfers` bounds what is open, `pending` what of it awaits an answer. */
  readonly limits: Pick<NodeLimits, "transfers" | "pending">;
}

/** Makes the outgoing half of a node. */
export function createOutgoing(use: OutgoingUse): Outgoing {
  const open = new Map<number, Transfer>();
  let pending = 0;
  let stopped = false;
  const outcomeOf = (departure: Departure, resolve: (outcome: PublishOutcome) => void): void => {
    // A step of our clock found in reading it begins a new session.
    use.time.seconds();
    const packetId = departure.packetId ?? freeId(open, use.wire);
    const { sessionId = use.sessions.forMessage() } = departure;
    const refuse = (reason: string): void =>
      resolve({ is: "refused", reason, packetId, sessionId, sent: false });
    if (departure.signal?.aborted === true) {
      resolve({ is: "unanswered", reason: "aborted", packetId, sessionId, sent: false });
      return;
    }
    if (stopped) {
      refuse("closed");
      return;
    }
    if (!use.sessions.has(sessionId)) {
      refuse("session-unknown");
      return;
    }
    const isAwaited = departure.message.qos > 0;
    const isFull = open.size >= use.limits.transfers || (isAwaited && pending >= use.limits.pending);
    if (isFull || open.has(packetId)) {
      refuse("busy");
      return;
    }
    const transfer = new Transfer(use, departure, { packetId, sessionId });
    const end = (): void => {
      open.delete(packetId);
      if (isAwaited) pending -= 1;
    };
    open.set(packetId, transfer);
    if (isAwaited) pending += 1;
    transfer.whenDone = (outcome) => {
      end();
      resolve(outcome);
    };
    if (!transfer.begin()) {
      end();
      refuse("busy");
    }
  };
  return {
    send: (departure) => new Promise((resolve) => outcomeOf(departure, resolve)),
    newTransfer() {
      // A step of our clock found in reading it begins a new session.
      use.time.seconds();
      return { packetId: freeId(open, use.wire), sessionId: use.sessions.forMessage() };
    },
    answered(packet, from, peer) {
      const transfer = open.get(packet.packetId);
      // An answer carries nothing but a number: it must at least come from where the message went, to the port, since
      // devices behind one router share an address.
      if (transfer === undefined || !isFromPeer(transfer.peer, from, peer)) return;
      transfer.answered(packet.type);
    },
    hurry(peer) {
      if (peer.open === 0) return;
      for (const transfer of [...open.values()]) if (transfer.peer === peer) transfer.hurry();
    },
    stop() {
      stopped = true;
      for (const transfer of [...open.values()]) transfer.abort("closed");
    },
    get open() {
      return open.size;
    },
  };
}

function isFromPeer(to: PeerEntry, from: Endpoint, peer: PeerEntry): boolean {
  if (to === peer) return true;
  const { host, port } = to.address;
  return to.key === peer.key && host === from.host && port === from.port;
}

function freeId(open: ReadonlyMap<number, unknown>, wire: Wire): number {
  let id = wire.nextPacketId();
  // One that continues an earlier transfer may still stand there.
  while (open.has(id)) id = wire.nextPacketId();
  return id;
}
