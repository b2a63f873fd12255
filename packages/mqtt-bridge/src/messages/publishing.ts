import { isValidChannel, type Port, type Principal, recordAccessRefusal } from "@nomq/core";
import type { Aedes, AedesOptions } from "aedes";
import type { IPublishPacket } from "mqtt-packet";
import type { AedesClient } from "../aedes/aedes-internals.ts";
import { clientInternals } from "../aedes/aedes-internals.ts";
import type { TopicEmitter } from "../aedes/topic-emitter.ts";
import type { ClientDirectory } from "../clients/client-directory.ts";
import type { Counters } from "../counters.ts";
import type { Front } from "../front/front.ts";
import { createLane, type Lane } from "../front/lane.ts";
import type { Verdict } from "../front/packets.ts";
import { REASON } from "../front/packets.ts";
import { publishFault } from "../front/publish-fault.ts";
import type { SessionJournal } from "../sessions/journal.ts";
import type { QueuedPublish, Session, Transfer } from "../sessions/session.ts";
import type { SessionStore } from "../sessions/session-store.ts";
import type { LeftWill, Will } from "../sessions/wills.ts";
import type { Handed, Ingress } from "./ingress.ts";

/** Where aedes sends what it believes to publish: no subscription covers it. */
const NOWHERE = "$nowhere";
const NO_LISTENER = { ack: "stored", ackTimeout: 10_000 } as const;

/** What publishing needs. */
export interface PublishingOptions {
  readonly port: Port;
  readonly counters: Counters;
  readonly clients: ClientDirectory;
  readonly sessions: SessionStore;
  readonly journal: Pick<SessionJournal, "stored">;
  readonly ingress: Ingress;
  readonly emitter: TopicEmitter;
}

/**
 * The way of a client's publish: the hub decides first, then the sessions get it, then it is acknowledged. aedes
 * forwards before anyone is asked; so it is given an empty packet to nowhere, whose acknowledgement the front holds.
 */
export interface Publishing {
  readonly authorize: NonNullable<AedesOptions["authorizePublish"]>;
  /** Publishes a client's will; resolves when it has been stored or refused, rejects when it will not be. */
  will(will: LeftWill): Promise<void>;
  /** A client has sent a QoS 2 publish of an earlier run again; its outcome is asked for once. */
  again(client: AedesClient, messageId: number, transfer: Transfer): void;
  /** What forwards to sessions. */
  through(aedes: Aedes): void;
}

/** One publish at QoS 1 or 2, or a retained one, under way. */
interface UnderWay {
  readonly packet: IPublishPacket;
  readonly client: AedesClient;
  readonly front: Front | undefined;
  readonly settle: (verdict: Verdict) => void;
  readonly session: Session | undefined;
}

/** What of it sessions need. */
type Sharing = Pick<UnderWay, "packet" | "front" | "session"> & { readonly client: { readonly id: string } };

/** Makes the way of publishes. */
export function createPublishing(options: PublishingOptions): Publishing {
  const { clients, counters, ingress, port } = options;
  const lanes = new WeakMap<AedesClient, Lane>();
  /** Topics with a retained QoS 0 publish under way: what follows at QoS 0 must not overtake it. */
  const retaining = new Map<string, number>();
  let aedes: Aedes | undefined;

  const laneOf = (client: AedesClient): Lane => {
    const lane = lanes.get(client) ?? createLane();
    lanes.set(client, lane);
    return lane;
  };
  const faultOf = (packet: IPublishPacket, principal: Principal): Verdict | undefined => {
    const fault = publishFault(packet);
    if (fault !== undefined) return { code: REASON.protocolError, reason: fault };
    if (!isValidChannel(packet.topic)) return { code: REASON.topicNameInvalid, reason: "channel-invalid" };
    if (port.may(principal, "publish", packet.topic)) return undefined;
    const refusal = { who: principal, action: "publish", name: packet.topic, protocol: "mqtt" } as const;
    recordAccessRefusal(port.sessionLog, refusal);
    return { code: REASON.notAuthorized, reason: "access" };
  };
  /** Gives the message to the sessions; tells whether there are any. */
  const forward = (packet: IPublishPacket, clientId: string): boolean => {
    // aedes' packets carry its own fields beside the protocol's; the client is what No Local asks for.
    const lasts = packet.properties?.messageExpiryInterval ?? 0;
    const messageExpiry = lasts > 0 ? { messageExpiry: port.clock.monotonic() + lasts * 1_000 } : {};
    const given: object = { ...packet, clientId, ...messageExpiry };
    aedes?.publish(given as Parameters<Aedes["publish"]>[0], () => undefined);
    return options.emitter.reached() + (packet.qos > 0 ? options.sessions.reached() : 0) > 0;
  };
  /** Gives a message that the hub has to the sessions; resolves with its answer when they are stored. */
  const share = async ({ packet, client, front, session }: Sharing, handed: Handed): Promise<Verdict> => {
    const hasReaders = options.sessions.naming(handed.id, () => forward(packet, client.id));
    const { messageId } = packet;
    if (session !== undefined && messageId !== undefined) {
      const message = front?.listener.ack === "delivered" ? handed.id : undefined;
      options.sessions.storeTransfer(session, { messageId, verdict: { code: REASON.success }, message });
    }
    const isShared = packet.qos > 0 && options.sessions.reached() > 0 && front?.listener.ack !== "accepted";
    const isStored = session?.persistent === true || isShared;
    if (isStored) await options.journal.stored();
    return await handed.verdict(hasReaders);
  };
  const failed = (error: unknown, front: Front | undefined): void => {
    port.log.warn("a message could not be published", { error: String(error) });
    front?.cut(REASON.implementationSpecific, "hub-closed");
  };

  const handQuick = async (packet: IPublishPacket, client: AedesClient): Promise<void> => {
    const front = clients.frontOf(client);
    const from = front?.principal ?? "anonymous";
    const listener = front?.listener ?? NO_LISTENER;
    try {
      const { refusal } = await ingress.publish(packet, { from, listener, late: () => undefined });
      if (refusal === undefined) forward(packet, client.id);
    } catch (error) {
      failed(error, undefined);
    }
  };
  const handInOrder = async (one: UnderWay): Promise<void> => {
    const { packet, client, front, settle, session } = one;
    const leave = laneOf(client).enter();
    let handed: Handed;
    try {
      const from = front?.principal ?? "anonymous";
      const listener = front?.listener ?? NO_LISTENER;
      const once = session && transferName(session, packet.messageId);
      handed = await ingress.publish(packet, { from, listener, once, late: settle });
    } catch (error) {
      leave(() => undefined);
      failed(error, packet.qos > 0 ? front : undefined);
      return;
    }
    if (handed.refusal !== undefined) {
      leave(() => undefined);
      settle(handed.refusal);
      return;
    }
    await new Promise<void>((resolve) => {
      leave(() => {
        const verdict = share(one, handed);
        verdict.then(settle, (error: unknown) => failed(error, front)).then(resolve, resolve);
        if (session !== undefined && front?.version !== 5)
          void verdict.then(whenLate(handed, settle), () => undefined);
      });
    });
  };
  const handRetained0 = async (one: UnderWay): Promise<void> => {
    const { topic } = one.packet;
    retaining.set(topic, (retaining.get(topic) ?? 0) + 1);
    await handInOrder(one);
    const left = (retaining.get(topic) ?? 1) - 1;
    if (left > 0) retaining.set(topic, left);
    else retaining.delete(topic);
  };

  /** The end of a publish: the acknowledgement, on whichever connection waits for it. */
  const settling = (
    front: Front | undefined,
    packet: Pick<IPublishPacket, "qos" | "messageId">,
    session?: Session,
  ) => {
    const { messageId } = packet;
    if (messageId === undefined || packet.qos === 0) return () => undefined;
    if (packet.qos === 1) return (verdict: Verdict): void => front?.settle(messageId, verdict);
    const transfer = session?.transfers.get(messageId);
    return (verdict: Verdict): void => {
      if (transfer === undefined || transfer.verdict !== undefined) return;
      // MQTT 3.1.1 is told nothing, and sends the same transfer again: it is answered once all have the message.
      const isOpen = verdict.isLate === true && front?.version !== 5;
      if (!isOpen) transfer.verdict = verdict;
      for (const tell of transfer.waiting) tell(verdict);
      transfer.waiting.clear();
      if (isOpen) return;
      // MQTT 5.0 section 4.3.3: a PUBREC that refuses ends the transfer.
      if (verdict.code < REASON.unspecified || session?.transfers.get(messageId) !== transfer) return;
      options.sessions.dropTransfer(session, messageId);
    };
  };
  const take = (packet: IPublishPacket, client: AedesClient): void => {
    const front = clients.frontOf(client);
    const { messageId } = packet;
    if (packet.qos === 2 && messageId !== undefined) {
      const session = options.sessions.session(client.id);
      // Sent again: aedes asks for it and finds it (session-store.ts).
      if (session.transfers.has(messageId)) return;
      options.sessions.beginTransfer(session, messageId);
      const settle = settling(front, packet, session);
      void ingress.during(handInOrder({ packet, client, front, settle, session }));
      return;
    }
    const one = { packet, client, front, settle: settling(front, packet), session: undefined };
    const isQuick = packet.qos === 0 && !packet.retain && !retaining.has(packet.topic);
    if (isQuick) void ingress.during(handQuick(packet, client));
    else if (packet.qos === 0) void ingress.during(handRetained0(one));
    else void ingress.during(handInOrder(one));
  };

  return {
    authorize(given, packet, done) {
      if (given === null) {
        done(null);
        return;
      }
      const client = clientInternals(given);
      const front = clients.frontOf(client);
      const fault = faultOf(packet, front?.principal ?? "anonymous");
      if (fault === undefined) {
        take(copyOf(packet), client);
        vanish(packet);
        done(null);
        return;
      }
      counters.add("messagesRefused", fault.reason ?? "refused");
      if (fault.code === REASON.protocolError) front?.cut(fault.code, "protocol-error");
      if (packet.messageId !== undefined && packet.qos > 0) front?.settle(packet.messageId, fault);
      if (packet.qos > 0 || front?.version === 5) {
        done(new Error(fault.reason));
        return;
      }
      // MQTT 3.1.1 at QoS 0: aedes would close the connection.
      vanish(packet);
      done(null);
    },
    async will({ clientId, owner = "anonymous", packet }) {
      const will = copyOf(packet);
      const fault = faultOf(will, owner);
      if (fault !== undefined) {
        counters.add("messagesRefused", fault.reason ?? "refused");
        return;
      }
      const handing = { from: owner, listener: NO_LISTENER, late: () => undefined };
      const handed = await ingress.during(ingress.publish(will, handing));
      if (handed.refusal?.reason === "closed") throw new Error("the hub is closed");
      if (handed.refusal !== undefined) return;
      const one = { packet: will, client: { id: clientId }, front: undefined, session: undefined };
      await ingress.during(share(one, handed));
    },
    again(client, messageId, transfer) {
      const front = clients.frontOf(client);
      const { message } = transfer;
      if (message === undefined) return;
      transfer.message = undefined;
      const settle = settling(front, { qos: 2, messageId }, options.sessions.session(client.id));
      const listener = front?.listener ?? NO_LISTENER;
      ingress.outcome(message, { listener, late: settle }).then(settle, () => undefined);
    },
    through(made) {
      aedes = made;
    },
  };
}

/** The transfer may be acknowledged later: what sends it again is answered then. */
function whenLate(handed: Handed, settle: (verdict: Verdict) => void) {
  return (verdict: Verdict): void => {
    if (verdict.isLate === true) void handed.final().then(settle, () => undefined);
  };
}

function transferName({ id, token }: Session, messageId: number | undefined): string {
  return `mqtt/${id}/${token}/${messageId}`;
}

/** The packet for the hub and the sessions. */
function copyOf(packet: IPublishPacket | Will): IPublishPacket & Pick<QueuedPublish, "messageId"> {
  const { topic, payload, qos = 0, retain = false } = packet;
  const messageId = "messageId" in packet ? packet.messageId : undefined;
  const copy = { cmd: "publish" as const, topic, payload, qos, retain, dup: false };
  // A property of wills, which PUBLISH does not have (section 3.1.3.2.2).
  const { willDelayInterval: _, ...properties } = { willDelayInterval: undefined, ...packet.properties };
  return {
    ...copy,
    ...(messageId !== undefined && { messageId }),
    ...(packet.properties !== undefined && { properties }),
  };
}

/** What is left for aedes: an id to acknowledge. */
function vanish(packet: IPublishPacket): void {
  packet.topic = NOWHERE;
  packet.payload = "";
  packet.retain = false;
  delete packet.properties;
}
