import { isUtf8 } from "node:buffer";
import type { Delivery, Outcome } from "../bridge.ts";
import type { Message } from "../message.ts";
import type { NodePublishOptions, NomqNode, PublishOutcome } from "../node/contract.ts";
import type { Endpoint } from "../transport.ts";

/** A peer to which messages of the hub go. */
export interface OutboundPeer {
  readonly to: string | Endpoint;
  readonly binary: "refuse" | "base64";
}

/** Hands messages of the hub to one peer. */
export interface Outbound {
  deliver(message: Message, delivery: Delivery): Promise<Outcome>;
}

/** NoMQ has no "never": the longest time to live it can say. */
const NO_EXPIRY_TTL = 65_535;
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
  const isDevice = (): boolean => (node.peer(peer.to)?.kind ?? "device") === "device";
  const keepOpen = (id: string, outcome: PublishOutcome): void => {
    const [oldest] = open.keys();
    if (open.size >= MOST_CONTINUED && oldest !== undefined) open.delete(oldest);
    const { packetId, sessionId } = outcome;
    open.set(id, { packetId, sessionId, sent: outcome.sent || open.get(id)?.sent === true });
  };

  return {
    async deliver(message, delivery) {
      const payload = isDevice() ? textFor(message.payload, peer.binary) : message.payload;
      if (payload === undefined) return { is: "refused", reason: "binary" };
      const before = open.get(message.id);
      if (message.qos === 2 && delivery.attempt > 1 && !canGoOn(before, isDevice())) {
        open.delete(message.id);
        return { is: "uncertain", reason: "sent before, without an answer" };
      }
      const options = optionsFor(message, delivery, { to: peer.to, before });
      const outcome = await node.publish(message.channel, payload, options);
      const answer = outcomeFor(outcome);
      if (message.qos === 2 && answer.is === "retry") keepOpen(message.id, outcome);
      else open.delete(message.id);
      return answer;
    },
  };
}

/** To a device a message that left may only be repeated byte for byte; to a node, under the same packet id. */
function canGoOn(before: Open | undefined, isDevice: boolean): boolean {
  return before !== undefined && (!before.sent || !isDevice);
}

function textFor(payload: Uint8Array, binary: "refuse" | "base64"): Uint8Array | undefined {
  if (isUtf8(payload)) return payload;
  return binary === "base64" ? Buffer.from(Buffer.from(payload).toString("base64"), "latin1") : undefined;
}

/** Seconds a message has left. */
export function ttlFor({ expiresInMs }: Delivery): number {
  return expiresInMs === undefined ? NO_EXPIRY_TTL : expiresInMs / 1000;
}

function optionsFor(
  message: Message,
  delivery: Delivery,
  way: { readonly to: string | Endpoint; readonly before: Open | undefined },
): NodePublishOptions {
  const { signal } = delivery;
  return {
    to: way.to,
    qos: message.qos,
    retain: message.retain,
    priority: message.priority,
    ttl: ttlFor(delivery),
    signal,
    ...(way.before === undefined ? {} : { packetId: way.before.packetId, sessionId: way.before.sessionId }),
  };
}

/** What the hub is told of a publish. */
export function outcomeFor(outcome: PublishOutcome): Outcome {
  switch (outcome.is) {
    case "delivered":
      return { is: "delivered" };
    case "expired":
      return { is: "retry", reason: "expired", afterMs: EXPIRED_AGAIN_MS };
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
