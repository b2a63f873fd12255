import type { Port, Principal, Receipt } from "@nomq/core";
import { filterMatches } from "@nomq/core";
import type { IPublishPacket } from "mqtt-packet";
import type { Verdict } from "./front/packets.ts";
import { REASON } from "./front/packets.ts";
import { draftFromPublish } from "./mapping.ts";
import type { ListenerSettings } from "./options.ts";

/** The attachment that stands for every session of the embedded broker. */
export const BROKER_ATTACHMENT = "mqtt:broker";

/** What goes with a publish from a client. */
export interface IngressOptions {
  readonly from: Principal;
  /** The acknowledgement point and its deadline. */
  readonly listener: Pick<ListenerSettings, "ack" | "ackTimeout">;
  /** Names a QoS 2 transfer. */
  readonly once?: string | undefined;
  /** Some MQTT session gets it. */
  readonly hasReaders: boolean;
}

/** The way of publishes from MQTT clients into the hub. */
export interface Ingress {
  /** Hands a publish to the hub. Rejects when the hub is closed: then nothing may be acknowledged. */
  publish(packet: IPublishPacket, options: IngressOptions): Promise<Verdict>;
  /** Retained changes that the hub has not answered yet, which subscribers must see already. */
  uncommitted(filters: readonly string[]): ReadonlyMap<string, IPublishPacket>;
  /** Resolves when no publish waits for the hub. */
  idle(): Promise<void>;
}

/** Makes the way in; `refused` counts by reason. */
export function createIngress(port: Port, refused: (reason: string) => void): Ingress {
  const retaining = new Map<string, IPublishPacket>();
  const underWay = new Set<Promise<Verdict>>();

  const send = async (packet: IPublishPacket, options: IngressOptions): Promise<Receipt> => {
    const { ack, ackTimeout } = options.listener;
    const until = packet.qos === 0 ? "accepted" : ack;
    const giveUp = new AbortController();
    const cancel = until === "delivered" ? port.clock.after(ackTimeout, () => giveUp.abort()) : undefined;
    try {
      return await port.publish(draftFromPublish(packet), options.from, {
        until,
        attachment: BROKER_ATTACHMENT,
        ...(options.once !== undefined && { once: options.once }),
        ...(cancel !== undefined && { signal: giveUp.signal }),
      });
    } finally {
      cancel?.();
    }
  };
  const verdictOf = (receipt: Receipt, packet: IPublishPacket, options: IngressOptions): Verdict => {
    if (receipt.at === "refused") {
      const reason = receipt.reason ?? "refused";
      refused(reason.split(":")[0] ?? reason);
      return { code: codeOf(reason), reason };
    }
    const isAwaited = packet.qos > 0 && options.listener.ack === "delivered" && receipt.reason !== "echo";
    if (isAwaited && receipt.at !== "delivered") {
      return { code: REASON.quotaExceeded, reason: "not delivered in time" };
    }
    const hasOutcomes = receipt.outcomes.length > 0 || receipt.reason === "echo";
    return { code: hasOutcomes || options.hasReaders ? REASON.success : REASON.noMatchingSubscribers };
  };

  const publish: Ingress["publish"] = async (packet, options) => {
    if (packet.retain) retaining.set(packet.topic, packet);
    try {
      return verdictOf(await send(packet, options), packet, options);
    } catch (error) {
      if (options.listener.ack !== "delivered" || !isAbort(error)) throw error;
      return { code: REASON.quotaExceeded, reason: "not delivered in time" };
    } finally {
      if (retaining.get(packet.topic) === packet) retaining.delete(packet.topic);
    }
  };

  return {
    async publish(packet, options) {
      const work = publish(packet, options);
      underWay.add(work);
      try {
        return await work;
      } finally {
        underWay.delete(work);
      }
    },
    async idle() {
      while (underWay.size > 0) await Promise.allSettled(underWay);
      // What has been answered now leaves with the next turns.
      await new Promise((resolve) => setImmediate(resolve));
      await new Promise((resolve) => setImmediate(resolve));
    },
    uncommitted(filters) {
      const found = new Map<string, IPublishPacket>();
      for (const [topic, packet] of retaining) {
        if (filters.some((filter) => filterMatches(filter, topic))) found.set(topic, packet);
      }
      return found;
    },
  };
}

function isAbort(error: unknown): boolean {
  return (
    error instanceof Error && (error.name === "AbortError" || ("code" in error && error.code === "aborted"))
  );
}

/** The hub's refusals in MQTT 5's words (MQTT 5.0 section 3.4.2.1). */
function codeOf(reason: string): number {
  const [word = ""] = reason.split(":");
  return REFUSALS[word] ?? REASON.unspecified;
}

const REFUSALS: Readonly<Record<string, number>> = {
  "channel-invalid": REASON.topicNameInvalid,
  access: REASON.notAuthorized,
  "outbox-full": REASON.quotaExceeded,
  "store-busy": REASON.quotaExceeded,
  "too-large": REASON.quotaExceeded,
  "store-failed": REASON.implementationSpecific,
};
