import type { Port, Principal, Receipt } from "@nomq/core";
import type { IPublishPacket } from "mqtt-packet";
import type { Verdict } from "../front/packets.ts";
import { REASON } from "../front/packets.ts";
import { draftFromPublish } from "../mapping.ts";
import type { ListenerSettings } from "../options.ts";

/** The attachment that stands for every session of the embedded broker. */
export const BROKER_ATTACHMENT = "mqtt:broker";

/** What goes with a publish from a client. */
export interface IngressOptions {
  readonly from: Principal;
  /** The acknowledgement point and its deadline. */
  readonly listener: Pick<ListenerSettings, "ack" | "ackTimeout">;
  /** Names a QoS 2 transfer. */
  readonly once?: string | undefined;
  /** With `ack: delivered`: the time is over, this is the answer. */
  late(verdict: Verdict): void;
}

/** What the hub made of a publish. */
export interface Handed {
  /** The hub's name of the message. */
  readonly id: string;
  /** Why the hub did not take it: it goes to nobody. */
  readonly refusal: Verdict | undefined;
  /** What to answer once the sessions have it; `hasReaders`: some MQTT session gets it. */
  verdict(hasReaders: boolean): Promise<Verdict>;
  /** What to answer once every outcome is final, however late. */
  final(): Promise<Verdict>;
}

/** The way of publishes from MQTT clients into the hub. */
export interface Ingress {
  /**
   * Hands a publish to the hub; resolves when the hub has decided, and for what must last, when it is stored. Rejects
   * when the hub is closed: then nothing may be acknowledged.
   */
  publish(packet: IPublishPacket, options: IngressOptions): Promise<Handed>;
  /** What to answer for a message of an earlier run once every outcome is final, however late; `late` as for others. */
  outcome(id: string, options: Pick<IngressOptions, "listener" | "late">): Promise<Verdict>;
  /** Counts work that ends later: {@link idle} waits for it. */
  during<T>(work: Promise<T>): Promise<T>;
  /** Resolves when no publish waits for the hub. */
  idle(): Promise<void>;
}

/** When to wait no longer. */
interface Deadline {
  readonly signal: AbortSignal;
  readonly cancel: () => void;
}

/** What is said when the time is over, or not everyone has it; the message goes on, and its receipt tells. */
function lateOf(id?: string): Verdict {
  const more = id === undefined ? "" : `; its receipt is ${id}`;
  return { code: REASON.quotaExceeded, reason: `not delivered in time${more}`, isLate: true };
}

/** Makes the way in; `refused` counts by reason. */
export function createIngress(port: Port, refused: (reason: string) => void): Ingress {
  const underWay = new Set<Promise<unknown>>();

  const refusalOf = (receipt: Receipt): Verdict | undefined => {
    if (receipt.at !== "refused") return undefined;
    const reason = receipt.reason ?? "refused";
    refused(reason.split(":")[0] ?? reason);
    return { code: codeOf(reason), reason };
  };
  /** The receipt when every outcome is final, or as it is when the time is over. */
  const lastOf = async (receipt: Receipt, { signal }: Pick<Deadline, "signal">): Promise<Receipt> => {
    let last = receipt;
    for await (const next of port.follow(receipt.id, { signal })) last = next;
    return last;
  };
  const verdictOf = async (receipt: Receipt, hasReaders: boolean, wait?: Deadline): Promise<Verdict> => {
    const last = wait === undefined ? receipt : await lastOf(receipt, wait);
    const hasOutcomes = last.outcomes.length > 0 || last.reason === "echo";
    if (wait !== undefined && last.outcomes.length > 0 && last.at !== "delivered") return lateOf(last.id);
    return { code: hasOutcomes || hasReaders ? REASON.success : REASON.noMatchingSubscribers };
  };
  /** Runs the acknowledgement's deadline from now on. */
  const deadline = (
    { listener, late }: Pick<IngressOptions, "listener" | "late">,
    id: () => string | undefined,
  ): Deadline => {
    const giveUp = new AbortController();
    const cancel = port.clock.after(listener.ackTimeout, () => {
      giveUp.abort();
      late(lateOf(id()));
    });
    return { signal: giveUp.signal, cancel };
  };
  const hand = async (packet: IPublishPacket, options: IngressOptions, wait?: Deadline): Promise<Handed> => {
    const { from, listener, once } = options;
    const isQuick = !packet.retain && (packet.qos === 0 || listener.ack === "accepted");
    const receipt = await port.publish(draftFromPublish(packet), from, {
      until: isQuick ? "accepted" : "stored",
      attachment: BROKER_ATTACHMENT,
      ...(once !== undefined && { once }),
    });
    const refusal = refusalOf(receipt);
    if (refusal !== undefined) wait?.cancel();
    return {
      id: receipt.id,
      refusal,
      final: async () => {
        const last = await lastOf(receipt, { signal: new AbortController().signal });
        return last.at === "delivered" ? { code: REASON.success } : lateOf(last.id);
      },
      verdict: (hasReaders) => verdictOf(receipt, hasReaders, wait).finally(() => wait?.cancel()),
    };
  };

  return {
    async publish(packet, options) {
      const isAwaited = packet.qos > 0 && options.listener.ack === "delivered";
      let id: string | undefined;
      const wait = isAwaited ? deadline(options, () => id) : undefined;
      try {
        const handed = await hand(packet, options, wait);
        id = handed.id;
        return handed;
      } catch (error) {
        wait?.cancel();
        throw error;
      }
    },
    async outcome(id, options) {
      const { cancel } = deadline(options, () => id);
      try {
        let last: Receipt | undefined;
        for await (const next of port.follow(id)) last = next;
        // What nobody knows of any more was taken all the same.
        const isDelivered = last?.outcomes.every(({ is }) => is === "delivered") !== false;
        return isDelivered ? { code: REASON.success } : lateOf(id);
      } finally {
        cancel();
      }
    },
    async during(work) {
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
  };
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
  "long-names-full": REASON.quotaExceeded,
  "store-busy": REASON.quotaExceeded,
  "store-full": REASON.quotaExceeded,
  "too-large": REASON.quotaExceeded,
  "store-failed": REASON.implementationSpecific,
};
