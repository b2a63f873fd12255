import type { AckPoint, Port, PublishOptions, Receipt } from "../bridge.ts";
import type { MappingLosses } from "../mapping.ts";
import type { IncomingMessage, Verdict } from "../node/contract.ts";
import type { Endpoint } from "../transport.ts";
import type { AckSettings } from "./ack-settings.ts";
import { draftFromIncoming } from "./mapping.ts";
import type { NomqChannelOptions } from "./options.ts";

/** What the way in works with. */
export interface InboundUse {
  readonly port: Port;
  /** When the message is to be acknowledged; asked before anything is waited for. */
  readonly pointFor: (from: Endpoint) => AckSettings;
  /** The attachment of the peer a message came from, if it has one. */
  readonly attachmentOf: (incoming: IncomingMessage) => string | undefined;
  readonly contentTypes: ReadonlyMap<string, string>;
  readonly losses: MappingLosses;
  readonly refused: (reason: string, incoming: IncomingMessage) => void;
}

/** The name of a configured channel. */
export function nameOf(channel: NomqChannelOptions): string {
  return typeof channel === "string" ? channel : channel.name;
}

/** The configured types of channels' payloads. */
export function contentTypesOf(channels: readonly NomqChannelOptions[] = []): ReadonlyMap<string, string> {
  const types = new Map<string, string>();
  for (const channel of channels) {
    if (typeof channel === "string" || channel.contentType === undefined) continue;
    types.set(channel.name, channel.contentType);
  }
  return types;
}

/** Publishes what arrives; resolves when the peer may be acknowledged, or must not. */
export async function publishInbound(use: InboundUse, incoming: IncomingMessage): Promise<Verdict> {
  const { ack, ackTimeout } = use.pointFor(incoming.from);
  // Made only where it is waited with: QoS 0 is the hot path.
  const deadline = ack === "delivered" && incoming.qos > 0 ? new AbortController() : undefined;
  const cancel = deadline && use.port.clock.after(ackTimeout, () => deadline.abort());
  try {
    const options = optionsFor(use, incoming, { until: ack, signal: deadline?.signal });
    const draft = draftFromIncoming(incoming, use.contentTypes, use.losses);
    const receipt = await use.port.publish(draft, `nomq:${incoming.peer.key}`, options);
    if (receipt.at === "refused") {
      use.refused(receipt.reason ?? "unknown", incoming);
      return { is: "refused", reason: receipt.reason ?? "unknown" };
    }
    return deadline === undefined ? { is: "accepted" } : whetherDelivered(receipt);
  } finally {
    cancel?.();
  }
}

function whetherDelivered(receipt: Receipt): Verdict {
  const everywhere = receipt.outcomes.every((outcome) => outcome.is === "delivered");
  return everywhere ? { is: "accepted" } : { is: "refused", reason: "not-delivered" };
}

function optionsFor(
  use: InboundUse,
  incoming: IncomingMessage,
  wait: { readonly until: AckPoint; readonly signal: AbortSignal | undefined },
): PublishOptions {
  const attachment = use.attachmentOf(incoming);
  const from = attachment === undefined ? {} : { attachment };
  if (incoming.qos === 0) return { until: "accepted", ...from };
  const { until, signal } = wait;
  const waiting = signal === undefined ? from : { signal, ...from };
  return { until, once: `nomq/${incoming.transfer}`, state: incoming.state, ...waiting };
}
