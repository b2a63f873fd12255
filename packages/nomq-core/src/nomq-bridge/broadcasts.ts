import { isIP } from "node:net";
import { addressText, parseEndpoint } from "../address.ts";
import type { Attachment, Delivery, OutboxLimits, Outcome, Port } from "../bridge.ts";
import type { MappingLosses } from "../mapping.ts";
import type { Message } from "../message.ts";
import type { IncomingMessage, NomqNode, PeerKind, PublishOutcome } from "../node/contract.ts";
import type { Principal } from "../principal.ts";
import type { Endpoint } from "../transport.ts";
import { maxPayloadFor } from "./devices.ts";
import { countLosses, payloadFor, publishOptionsFor } from "./mapping.ts";
import type { NomqBridgeOptions } from "./options.ts";
import { outcomeFor } from "./outbound.ts";

/** The broadcast addresses of a bridge, each with a volatile attachment `nomq:broadcast:HOST:PORT`. */
export interface BroadcastAttachments {
  /** Notes a message that came by broadcast and must not leave by it. */
  heard(incoming: IncomingMessage): void;
  /** The attachment of what came by broadcast. */
  originOf(incoming: IncomingMessage): string | undefined;
  all(): readonly Attachment[];
}

/** What broadcasts leave by. */
export interface BroadcastUse {
  readonly node: NomqNode;
  readonly losses: MappingLosses;
}

/** At its pace an address takes 100 s for as many: what waits longer is better replaced by what is newer. */
const OUTBOX: OutboxLimits = { messages: 250, bytes: 256 * 1024, whenFull: "drop-oldest" };
const MOST_HANDED = 10_000;
/** Nobody can answer for the others (protocol.md section 10.8). */
const NOBODY_SAYS: Outcome = { is: "uncertain", reason: "a broadcast is not acknowledged" };

/** Attaches every address of the options. */
export async function attachBroadcasts(
  port: Port,
  use: BroadcastUse,
  options: NomqBridgeOptions,
): Promise<BroadcastAttachments> {
  const { broadcast = [], broadcastFilters: filters = [] } = options;
  // The hub hands over the payload it was given: the same object is the same message.
  const came = new WeakSet<Uint8Array>();
  const byName = new Map(broadcast.map(parseEndpoint).map((to) => [addressText(to), to]));
  const attachments: Attachment[] = [];
  for (const [text, to] of byName) {
    attachments.push(
      await port.attach({
        name: `nomq:broadcast:${text}`,
        as: principalOf(options),
        filters,
        durable: false,
        echoes: false,
        ...maxPayloadFor("device"),
        outbox: OUTBOX,
        deliver: createDelivery(use, to, (message) => came.has(message.payload)),
      }),
    );
  }
  return {
    heard(incoming) {
      if (incoming.broadcast) came.add(incoming.payload);
    },
    originOf: (incoming) => (incoming.broadcast ? attachments[0]?.name : undefined),
    all: () => attachments,
  };
}

/** The group of the key they are sealed with; of a node made elsewhere it is not known, so it counts as nobody. */
function principalOf(options: NomqBridgeOptions): Principal {
  const key = "node" in options ? undefined : options.keys[0];
  return key === undefined ? "anonymous" : `nomq:${key.id}`;
}

type Deliver = (message: Message, delivery: Delivery) => Promise<Outcome>;

function createDelivery(
  { node, losses }: BroadcastUse,
  to: Endpoint,
  cameByBroadcast: (message: Message) => boolean,
): Deliver {
  // v1 devices, which read text only, are on IPv4.
  const kind: PeerKind = isIP(to.host) === 4 ? "device" : "node";
  const handed = new HandedValues();
  return async (message, delivery) => {
    const payload = payloadFor(message.payload, kind, "refuse");
    // Two gateways on one network would pass it on to each other for ever.
    if (cameByBroadcast(message)) return { is: "refused", reason: "came-by-broadcast" };
    if (payload === undefined) {
      losses.add(message.origin, `nomq:${kind}`, "binary");
      return { is: "refused", reason: "binary" };
    }
    const isCorrection = delivery.cause !== "live";
    if (isCorrection && handed.has(message)) return { is: "delivered" };
    const { signal } = delivery;
    const { qos, ...said } = publishOptionsFor(message, delivery, kind);
    const outcome = await node.broadcast(message.channel, payload, { ...said, to, signal });
    if (outcome.is === "delivered") {
      countLosses(message, delivery, { kind, losses });
      if (said.retain) handed.add(message);
    }
    // The hub would correct for ever what nobody can confirm.
    return answerFor(outcome, qos === 0 || isCorrection);
  };
}

/** `isEnough`: nobody waits to hear that it arrived. */
function answerFor(outcome: PublishOutcome, isEnough: boolean): Outcome {
  // Some of its copies have left: again would be twice.
  if (outcome.is === "unanswered" && outcome.sent) return NOBODY_SAYS;
  return outcome.is === "delivered" && !isEnough ? NOBODY_SAYS : outcomeFor(outcome);
}

/** The last retained value of each channel that was handed to the network, the oldest forgotten first. */
class HandedValues {
  readonly #last = new Map<string, { readonly seq: number; readonly isEmpty: boolean }>();

  add({ channel, seq, payload }: Message): void {
    this.#last.delete(channel);
    this.#last.set(channel, { seq, isEmpty: payload.length === 0 });
    const [oldest] = this.#last.keys();
    if (this.#last.size > MOST_HANDED && oldest !== undefined) this.#last.delete(oldest);
  }

  has({ channel, seq, payload }: Message): boolean {
    const last = this.#last.get(channel);
    // A correction that clears has a number of its own.
    return last !== undefined && (last.seq >= seq || (last.isEmpty && payload.length === 0));
  }
}
