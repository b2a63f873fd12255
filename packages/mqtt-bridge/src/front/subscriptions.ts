import { isValidFilter } from "@nomq/core";
import type { ISubscribePacket, ISubscription } from "mqtt-packet";
import { packetIdOf } from "./frames.ts";
import type { ProtocolVersion } from "./packets.ts";
import { decodePacket, encodePacket, REASON } from "./packets.ts";

/** A number of filters and of their levels. */
export interface Held {
  readonly filters: number;
  readonly levels: number;
}

/** How many levels a filter has. */
export function levelsOf(filter: string): number {
  let levels = 1;
  for (let at = filter.indexOf("/"); at !== -1; at = filter.indexOf("/", at + 1)) levels += 1;
  return levels;
}

/** More filters in one client's hands are refused, and more levels of all of them together. */
const MOST_FILTERS = 10_000;
const MOST_LEVELS = 100_000;

/** A SUBSCRIBE whose SUBACK is not complete. */
interface Job {
  readonly messageId: number;
  readonly codes: number[];
  missing: number;
}

/**
 * SUBSCRIBE and SUBACK of one connection. aedes answers a packet that names a filter twice with too few codes and
 * loses some names altogether, so it gets one packet per filter, each under an id of our own, and the client gets
 * one SUBACK with a code for every position (MQTT 5.0 section 3.9.3).
 */
export interface SubscriptionDesk {
  /** Frames for aedes, or the reason code to close with. */
  take(frame: Buffer): readonly Buffer[] | { readonly fault: number };
  /** A SUBACK of aedes. */
  answered(frame: Buffer): void;
}

/** What the desk needs to know of its connection. */
export interface DeskOptions {
  readonly version: ProtocolVersion;
  /** Whether the session outlives the connection. */
  readonly persistent: boolean;
  /** What the client has now. */
  held(): Held;
  /** Whether all clients together leave room for one filter more, besides so much that is asked for. */
  hasRoom(filter: string, asked: Held): boolean;
  /** Whether the client may subscribe to a filter, as far as can be told before a message comes. */
  may(filter: string): boolean;
  /** Sends a frame to the client. */
  send(frame: Buffer): void;
}

/** Makes the desk of one connection. */
export function createSubscriptionDesk(options: DeskOptions): SubscriptionDesk {
  const { version } = options;
  const waiting = new Map<number, { readonly job: Job; readonly at: number; readonly levels: number }>();
  /** Levels of what waits. */
  let asked = 0;
  let lastId = 0;

  const refuse = (code: number): number => (version === 5 ? code : REASON.unspecified);
  const verdict = ({ topic }: ISubscription): number | undefined => {
    if (topic.startsWith("$share/")) return refuse(REASON.sharedSubscriptionsNotSupported);
    if (!isValidFilter(topic)) return refuse(REASON.topicFilterInvalid);
    if (topic.startsWith("$") || !options.may(topic)) return refuse(REASON.notAuthorized);
    // aedes gathers restored filters in an object, where this name vanishes.
    if (topic === "__proto__" && options.persistent) return refuse(REASON.topicFilterInvalid);
    const { filters, levels } = options.held();
    const isFull = filters + waiting.size >= MOST_FILTERS || levels + asked + levelsOf(topic) > MOST_LEVELS;
    const hasRoom = !isFull && options.hasRoom(topic, { filters: waiting.size, levels: asked });
    return hasRoom ? undefined : refuse(REASON.quotaExceeded);
  };
  const nextId = (): number => {
    do lastId = (lastId % 0xffff) + 1;
    while (waiting.has(lastId));
    return lastId;
  };
  const finish = (job: Job): void => {
    if (job.missing > 0) return;
    const frame = encodePacket({ cmd: "suback", messageId: job.messageId, granted: job.codes }, version);
    if (frame !== undefined) options.send(frame);
  };

  return {
    take(frame) {
      const packet = decodePacket(frame, version);
      if (packet?.cmd !== "subscribe" || !packet.messageId) return { fault: REASON.malformedPacket };
      if (packet.subscriptions.length === 0 || !isIdentifierValid(packet))
        return { fault: REASON.protocolError };
      const job: Job = { messageId: packet.messageId, codes: [], missing: 0 };
      const frames: Buffer[] = [];
      for (const [at, one] of packet.subscriptions.entries()) {
        const refused = verdict(one);
        job.codes[at] = refused ?? REASON.unspecified;
        if (refused !== undefined) continue;
        const messageId = nextId();
        const single = encodePacket({ ...packet, messageId, subscriptions: [one] }, version);
        if (single === undefined) continue;
        job.missing += 1;
        const levels = levelsOf(one.topic);
        asked += levels;
        waiting.set(messageId, { job, at, levels });
        frames.push(single);
      }
      finish(job);
      return frames;
    },
    answered(frame) {
      const id = packetIdOf(frame);
      const entry = waiting.get(id);
      if (entry === undefined) return;
      waiting.delete(id);
      asked -= entry.levels;
      entry.job.codes[entry.at] = frame.at(-1) ?? REASON.unspecified;
      entry.job.missing -= 1;
      finish(entry.job);
    },
  };
}

/** MQTT 5.0 section 3.8.2.1.2: absent, or once and not 0. */
function isIdentifierValid(packet: ISubscribePacket): boolean {
  const identifier: unknown = packet.properties?.subscriptionIdentifier;
  return identifier === undefined || (typeof identifier === "number" && identifier > 0);
}
