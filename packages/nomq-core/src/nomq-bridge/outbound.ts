import type { Delivery, Outcome } from "../bridge.ts";
import type { MappingLosses } from "../mapping.ts";
import type { Message } from "../message.ts";
import type { NodePublishOptions, NomqNode, PeerKind, PublishOutcome } from "../node/contract.ts";
import type { Endpoint } from "../transport.ts";
import { countLosses, payloadFor, publishOptionsFor } from "./mapping.ts";

/** A peer to which messages of the hub go. */
export interface OutboundPeer {
  readonly to: string | Endpoint;
  readonly binary: "refuse" | "base64";
  readonly losses: MappingLosses;
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
  readonly packetId: number;
  readonly sessionId: number;
  readonly sent: boolean;
}

/** Makes the way out to one peer. */
export function createOutbound(node: NomqNode, peer: OutboundPeer): Outbound {
  const open = new Map<string, Open>();
  const kindNow = (): PeerKind => node.peer(peer.to)?.kind ?? "device";
  const keepOpen = (id: string, outcome: PublishOutcome): void => {
    const [oldest] = open.keys();
    if (open.size >= MOST_CONTINUED && oldest !== undefined) open.delete(oldest);
    const { packetId, sessionId } = outcome;
    open.set(id, { packetId, sessionId, sent: outcome.sent || open.get(id)?.sent === true });
  };

  return {
    async deliver(message, delivery) {
      const kind = kindNow();
      const payload = payloadFor(message.payload, kind, peer.binary);
      if (payload === undefined) {
        peer.losses.add(message.origin, `nomq:${kind}`, "binary");
        return { is: "refused", reason: "binary" };
      }
      const before = open.get(message.id);
      if (message.qos === 2 && delivery.attempt > 1 && !canGoOn(before, kind)) {
        open.delete(message.id);
        return { is: "uncertain", reason: "sent before, without an answer" };
      }
      const options: NodePublishOptions = {
        ...publishOptionsFor(message, delivery, kind),
        to: peer.to,
        signal: delivery.signal,
        ...(before !== undefined && { packetId: before.packetId, sessionId: before.sessionId }),
      };
      const outcome = await node.publish(message.channel, payload, options);
      const answer = outcomeFor(outcome);
      if (answer.is === "delivered") countLosses(message, delivery, { kind, losses: peer.losses });
      if (message.qos === 2 && answer.is === "retry") keepOpen(message.id, outcome);
      else open.delete(message.id);
      return answer;
    },
  };
}

/** To a device a message that left may only be repeated byte for byte; to a node, under the same packet id. */
function canGoOn(before: Open | undefined, kind: PeerKind): boolean {
  return before !== undefined && (!before.sent || kind === "node");
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
      if (outcome.reason !== "busy" && outcome.reason !== "closed") {
        return { is: "refused", reason: outcome.reason };
      }
      return { is: "retry", reason: outcome.reason, afterMs: BUSY_AGAIN_MS };
  }
}
