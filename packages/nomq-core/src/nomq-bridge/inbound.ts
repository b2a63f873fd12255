import type { AckPoint, Port, PublishOptions, Receipt } from "../bridge.ts";
import type { Draft } from "../message.ts";
import type { IncomingMessage, Verdict } from "../node/contract.ts";

/** What the way in works with. */
export interface InboundUse {
  readonly port: Port;
  readonly ack: AckPoint;
  /** Milliseconds. */
  readonly ackTimeout: number;
  /** The attachment of the peer a message came from, if it has one. */
  readonly attachmentOf: (incoming: IncomingMessage) => string | undefined;
  readonly contentTypes: ReadonlyMap<string, string>;
  readonly refused: (reason: string) => void;
}

/** Publishes what arrives; resolves when the peer may be acknowledged, or must not. */
export async function publishInbound(use: InboundUse, incoming: IncomingMessage): Promise<Verdict> {
  const deadline = new AbortController();
  const cancel =
    use.ack === "delivered" && incoming.qos > 0
      ? use.port.clock.after(use.ackTimeout, () => deadline.abort())
      : undefined;
  try {
    const options = optionsFor(use, incoming, deadline.signal);
    const receipt = await use.port.publish(draftOf(use, incoming), `nomq:${incoming.peer.key}`, options);
    if (receipt.at === "refused") {
      use.refused(receipt.reason ?? "unknown");
      return { is: "refused", reason: receipt.reason ?? "unknown" };
    }
    return use.ack === "delivered" && incoming.qos > 0 ? whetherDelivered(receipt) : { is: "accepted" };
  } finally {
    cancel?.();
  }
}

function whetherDelivered(receipt: Receipt): Verdict {
  const everywhere = receipt.outcomes.every((outcome) => outcome.is === "delivered");
  return everywhere ? { is: "accepted" } : { is: "refused", reason: "not-delivered" };
}

function draftOf(use: InboundUse, incoming: IncomingMessage): Draft {
  const { channel, payload, qos, retain, priority } = incoming;
  const contentType = use.contentTypes.get(channel);
  const draft = { channel, payload, qos, retain, priority, ttlMs: incoming.ttl * 1000 };
  return contentType === undefined ? draft : { ...draft, contentType };
}

function optionsFor(use: InboundUse, incoming: IncomingMessage, signal: AbortSignal): PublishOptions {
  const attachment = use.attachmentOf(incoming);
  const from = attachment === undefined ? {} : { attachment };
  if (incoming.qos === 0) return { until: "accepted", ...from };
  return { until: use.ack, once: `nomq/${incoming.transfer}`, state: incoming.state, signal, ...from };
}
