import type { Clock } from "../../clock.ts";
import { isValidChannel } from "../../message.ts";
import type { Endpoint } from "../../transport.ts";
import type { ChannelNames } from "../channel-names.ts";
import type { NodeLimits, NodePublishOptions, PublishOutcome } from "../contract.ts";
import type { PeerEntry } from "../peers/peer-entry.ts";
import type { PeerTable } from "../peers/peer-table.ts";
import type { Subscriptions } from "../peers/subscriptions.ts";
import type { Outgoing } from "./outgoing.ts";
import { createRetained, type Retained, type RetainedMessage } from "./retained.ts";
import { fits } from "./wire.ts";

/** The messages of one node to its peers, and those it keeps for peers to come. */
export interface Publishing {
  publish(channel: string, payload: Uint8Array, options: NodePublishOptions): Promise<PublishOutcome>;
  /** Sends a peer what is kept of channels that it has asked for. */
  greet(peer: PeerEntry, channels: Iterable<string>): void;
}

/** What publishing works with. */
export interface PublishingUse {
  readonly clock: Clock;
  readonly limits: NodeLimits;
  readonly names: ChannelNames;
  readonly peers: PeerTable;
  readonly subscriptions: Subscriptions;
  readonly outgoing: Outgoing;
}

interface Content {
  readonly payload: Uint8Array;
  readonly options: NodePublishOptions;
}

/** Makes the publishing of one node. */
export function createPublishing(use: PublishingUse): Publishing {
  return new NodePublishing(use);
}

/** A message that went nowhere. */
export function refused(reason: string): PublishOutcome {
  return { is: "refused", reason, packetId: 0, sessionId: 0, sent: false };
}

class NodePublishing implements Publishing {
  readonly #use: PublishingUse;
  readonly #retained: Retained;
  /** Channels whose retained messages are still to be sent. */
  readonly #greeting = new Map<PeerEntry, Set<string>>();

  constructor(use: PublishingUse) {
    this.#use = use;
    const { retained: each, channels } = use.limits;
    this.#retained = createRetained({ clock: use.clock, each, channels });
  }

  async publish(channel: string, payload: Uint8Array, options: NodePublishOptions): Promise<PublishOutcome> {
    if (!isValidChannel(channel)) return refused("channel-invalid");
    if (!(options.ttl === undefined || options.ttl >= 0)) return refused("ttl-invalid");
    if (payload.length > this.#use.limits.message) return refused("too-large");
    const content = { payload, options };
    const isKept = this.#isToBeKept(options);
    if (isKept && !this.#keep(channel, content)) return refused("limited");
    const to = this.#receivers(channel, options.to);
    if (to.length === 0) {
      return isKept ? { is: "kept", packetId: 0, sessionId: 0, sent: false } : refused(whyNobody(options.to));
    }
    const outcomes = await Promise.all(to.map((peer) => this.#publishTo(peer, channel, content)));
    const [first = refused("no-subscriber")] = outcomes;
    return outcomes.find((outcome) => outcome.is !== "delivered") ?? first;
  }

  greet(peer: PeerEntry, channels: Iterable<string>): void {
    if (this.#use.limits.retained === 0) return;
    const running = this.#greeting.get(peer);
    const asked = running ?? new Set<string>();
    for (const channel of channels) if (this.#retained.of(channel).length > 0) asked.add(channel);
    if (running !== undefined || asked.size === 0) return;
    this.#greeting.set(peer, asked);
    void this.#sendKept(peer, asked).finally(() => this.#greeting.delete(peer));
  }

  /** One channel after the other; what is kept of one keeps its order by its turns. */
  async #sendKept(peer: PeerEntry, channels: Set<string>): Promise<void> {
    for (const channel of channels) {
      channels.delete(channel);
      const now = this.#use.clock.monotonic();
      const sends = this.#retained.of(channel).map((message) => {
        const options = { ...optionsOf(message, now), retain: true };
        return this.#publishTo(peer, channel, { payload: message.payload, options });
      });
      await Promise.all(sends);
    }
  }

  /** What is meant for one peer, or for now only, is kept for no other. */
  #isToBeKept({ retain, to, ttl }: NodePublishOptions): boolean {
    return retain === true && to === undefined && ttl !== 0 && this.#use.limits.retained > 0;
  }

  #keep(channel: string, { payload, options }: Content): boolean {
    const { qos = 0, priority = 0, ttl } = options;
    const deadline = ttl === undefined ? undefined : this.#use.clock.monotonic() + ttl * 1000;
    return this.#retained.keep(channel, { payload, qos, priority, deadline });
  }

  #receivers(channel: string, to: string | Endpoint | undefined): readonly PeerEntry[] {
    const { peers, subscriptions } = this.#use;
    if (to === undefined) return subscriptions.to(channel);
    const peer = peers.reach(to);
    return peer === undefined ? [] : [peer];
  }

  #publishTo(peer: PeerEntry, channel: string, { payload, options }: Content): Promise<PublishOutcome> {
    const { qos = 0, retain = false, priority = 0, ttl, packetId, sessionId, signal } = options;
    if (!fits(peer, payload.length)) return Promise.resolve(refused("too-large"));
    const channelId = this.#use.names.idOf(channel);
    return this.#use.outgoing.send({
      peer,
      channel,
      message: { channelId, payload, qos, retain, priority },
      ttl,
      ...(packetId === undefined ? {} : { packetId }),
      ...(sessionId === undefined ? {} : { sessionId }),
      ...(signal === undefined ? {} : { signal }),
    });
  }
}

function optionsOf({ qos, priority, deadline }: RetainedMessage, now: number): NodePublishOptions {
  return deadline === undefined ? { qos, priority } : { qos, priority, ttl: (deadline - now) / 1000 };
}

function whyNobody(to: string | Endpoint | undefined): string {
  if (to === undefined) return "no-subscriber";
  return typeof to === "string" ? "peer-unknown" : "limited";
}
