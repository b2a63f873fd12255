import type { Delivery, Outcome } from "../bridge.ts";
import type { MappingLosses } from "../mapping.ts";
import type { Message } from "../message.ts";
import type { NodePublishOptions, NomqNode, PeerKind, PublishOutcome } from "../node/contract.ts";
import type { Endpoint } from "../transport.ts";
import { countLosses, payloadFor, publishOptionsFor } from "./mapping.ts";
import type { PeerTransfers } from "./open-transfers.ts";

/** A peer to which messages of the hub go. */
export interface OutboundPeer {
  readonly to: string | Endpoint;
  readonly binary: "refuse" | "base64";
  readonly losses: MappingLosses;
  /** Where a node's QoS 2 transfers are kept over restarts. Absent: nowhere, as its outbox is not either. */
  readonly transfers?: PeerTransfers;
}

/** Hands messages of the hub to one peer. */
export interface Outbound {
  deliver(message: Message, delivery: Delivery): Promise<Outcome>;
}

const UNANSWERED_AGAIN_MS = 10_000;
const BUSY_AGAIN_MS = 1000;
/** The hub decides what has expired; its clock may be a moment behind the node's. */
const EXPIRED_AGAIN_MS = 50;
const MOST_CONTINUED = 10_000;

/** What is known of a QoS 2 transfer whose call ended without an outcome. */
interface Open {
  /** Absent: refused before it had ids, as by a node that has not started. */
  readonly packetId?: number;
  readonly sessionId?: number;
  readonly sent: boolean;
}

/** Makes the way out to one peer. */
export function createOutbound(node: NomqNode, peer: OutboundPeer): Outbound {
  const open = new Map<string, Open>();
  const kindNow = (): PeerKind => node.peer(peer.to)?.kind ?? "device";
  const keepOpen = (id: string, outcome: PublishOutcome): void => {
    const [oldest] = open.keys();
    if (open.size >= MOST_CONTINUED && oldest !== undefined) open.delete(oldest);
    const { packetId, sessionId, sent } = outcome;
    const before = open.get(id);
    if (sessionId !== 0) open.set(id, { packetId, sessionId, sent: sent || before?.sent === true });
    else if (before === undefined) open.set(id, { sent });
  };

  const end = (message: Message, answer: Outcome): Outcome => {
    open.delete(message.id);
    const state = message.qos === 2 ? (peer.transfers?.end(message.id) ?? []) : [];
    return answer.is === "delivered" && state.length > 0 ? { is: "delivered", state } : answer;
  };
  /** Null: it may have been sent before and cannot go on. Undefined: it begins now. */
  const transferOf = async (
    { id, qos }: Message,
    attempt: number,
    kind: PeerKind,
  ): Promise<Open | undefined | null> => {
    if (qos < 2) return undefined;
    const { transfers } = peer;
    const known = transfers?.find(id) ?? open.get(id);
    const isNew = attempt === 1 || transfers?.knows(kind) === true;
    if (known === undefined) {
      if (!isNew) return null;
      return kind === "node" && transfers !== undefined ? await transfers.begin(id) : undefined;
    }
    return attempt === 1 || canGoOn(known, kind) ? known : null;
  };

  return {
    async deliver(message, delivery) {
      const kind = kindNow();
      const payload = payloadFor(message.payload, kind, peer.binary);
      if (payload === undefined) {
        peer.losses.add(message.origin, `nomq:${kind}`, "binary");
        return { is: "refused", reason: "binary" };
      }
      const before = await transferOf(message, delivery.attempt, kind);
      if (before === null) return end(message, LOST);
      const options: NodePublishOptions = {
        ...publishOptionsFor(message, delivery, kind),
        to: peer.to,
        signal: delivery.signal,
        ...idsOf(before),
      };
      const outcome = await node.publish(message.channel, payload, options);
      const answer = outcomeFor(outcome);
      if (answer.is === "delivered") countLosses(message, delivery, { kind, losses: peer.losses });
      if (answer.is !== "retry") return end(message, answer);
      if (message.qos === 2) keepOpen(message.id, outcome);
      return answer;
    },
  };
}

function idsOf(open: Open | undefined): Pick<NodePublishOptions, "packetId" | "sessionId"> {
  const { packetId, sessionId } = open ?? {};
  return packetId === undefined || sessionId === undefined ? {} : { packetId, sessionId };
}

const LOST: Outcome = { is: "uncertain", reason: "sent before, without an answer" };

/** To a device a message that left may only be repeated byte for byte; to a node, under the same packet id. */
function canGoOn(before: Open, kind: PeerKind): boolean {
  return !before.sent || kind === "node";
}

/** What the hub is told of a publish. */
export function outcomeFor(outcome: PublishOutcome): Outcome {
  switch (outcome.is) {
    case "delivered":
      return { is: "delivered" };
    case "expired":
      return { is: "retry", reason: "expired", afterMs: EXPIRED_AGAIN_MS };
    case "kept":
      return { is: "refused", reason: "no-subscriber" };
    case "uncertain":
      return { is: "uncertain", reason: outcome.reason };
    case "unanswered":
      return { is: "retry", reason: outcome.reason, afterMs: UNANSWERED_AGAIN_MS };
    case "refused":
      // A session of ours so old that its peer has forgotten it too.
      if (outcome.reason === "session-unknown") return LOST;
      if (outcome.reason !== "busy" && outcome.reason !== "closed") {
        return { is: "refused", reason: outcome.reason };
      }
      return { is: "retry", reason: outcome.reason, afterMs: BUSY_AGAIN_MS };
  }
}
