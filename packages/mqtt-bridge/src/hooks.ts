import { isValidChannel, type Port } from "@nomq/core";
import type { Aedes, AedesOptions } from "aedes";
import type { IPublishPacket } from "mqtt-packet";
import type { AedesClient } from "./aedes-internals.ts";
import { clientInternals } from "./aedes-internals.ts";
import type { ClientRecords } from "./client-records.ts";
import type { ClientDirectory } from "./clients.ts";
import type { Counters } from "./counters.ts";
import { createForwarding } from "./forwarding.ts";
import type { Verdict } from "./front/packets.ts";
import { REASON } from "./front/packets.ts";
import type { Ingress } from "./ingress.ts";
import type { Interest } from "./interest.ts";
import type { ClientLosses } from "./losses.ts";
import { publishFault } from "./publish-fault.ts";
import { mayFilter, recordRefusal } from "./rights.ts";
import type { QueuedPublish } from "./sessions/session.ts";
import type { SessionStore } from "./sessions/session-store.ts";
import type { TopicEmitter } from "./topic-emitter.ts";

/** The client id on what comes from the hub, which no client can have: strings of MQTT hold no NUL. */
export const FROM_HUB: { readonly clientId: string } = { clientId: "\0hub" };
/** Where a message goes that must vanish: no subscription covers it and the hub never hears of it. */
const NOWHERE = "$nowhere";

/** What the hooks need. */
export interface HookOptions {
  readonly port: Port;
  readonly counters: Counters;
  readonly clients: ClientDirectory;
  readonly sessions: SessionStore;
  readonly ingress: Ingress;
  readonly emitter: TopicEmitter;
  readonly interest: Interest;
  readonly losses: ClientLosses;
  readonly records: ClientRecords;
}

type Handlers = Required<
  Pick<
    AedesOptions,
    "preConnect" | "authorizePublish" | "authorizeSubscribe" | "authorizeForward" | "published"
  >
>;

/** aedes' hooks and the events it must be listened to for. */
export interface Hooks {
  readonly handlers: Handlers;
  listen(aedes: Aedes): void;
}

/** Makes the hooks that tie aedes to the hub. */
export function createHooks(options: HookOptions): Hooks {
  const forwarding = createForwarding({
    may: (client, channel) => {
      const principal = options.clients.frontOf(client)?.principal;
      return principal !== undefined && options.port.may(principal, "subscribe", channel);
    },
    isOpen: (client) => options.clients.frontOf(client)?.isOver() === false,
    isDraining: (client) => !client.clean && options.clients.draining.has(client),
    isOld: (client) => options.clients.frontOf(client)?.version !== 5,
    losses: options.losses,
    dropped: (client, brokerCounter, reason) => {
      options.counters.add("messagesDropped", reason);
      options.sessions.find(client.id)?.queue.discard(brokerCounter);
    },
  });
  return {
    handlers: {
      preConnect: preConnect(options),
      authorizePublish: authorizePublish(options),
      authorizeSubscribe: authorizeSubscribe(options),
      // aedes takes null for "not to this client"; its own fields come along untyped.
      authorizeForward: (client, packet) =>
        forwarding.decide(clientInternals(client), packet as QueuedPublish) as typeof packet | null,
      published: published(options),
    },
    listen(aedes) {
      listenToConnections(aedes, options);
      aedes.on("subscribe", (subscriptions, client) => {
        const subscriber = clientInternals(client);
        const front = options.clients.frontOf(subscriber);
        if (front !== undefined)
          // A refused one has a reason code where the QoS should be.
          for (const { topic, qos } of subscriptions)
            if (qos <= 2) options.records.subscribed(front, topic, qos);
        forwarding.forget(subscriber);
        options.clients.subscribing = subscriber;
        rankHandlers(
          options.emitter,
          subscriber,
          subscriptions.map(({ topic }) => topic),
        );
      });
      aedes.on("unsubscribe", (filters, client) => {
        forwarding.forget(clientInternals(client));
        options.interest.drop(client.id, filters);
        const front = options.clients.frontOf(clientInternals(client));
        if (front !== undefined) for (const filter of filters) options.records.unsubscribed(front, filter);
      });
    },
  };
}

function preConnect({ clients, sessions }: HookOptions): Handlers["preConnect"] {
  return (given, packet, done) => {
    const client = clientInternals(given);
    // A filter or client id may be called `__proto__` (GHSA-52qw-whmv-87c5).
    client.subscriptions = Object.create(null);
    client.duplicates = neverSeen();
    clients.identify(client);
    clients.draining.add(client);
    const isResuming = packet.clean !== true && sessions.has(packet.clientId);
    if (packet.protocolVersion === 5 && isResuming && !packet.properties?.sessionExpiryInterval) {
      // aedes forgets what is stored when the session ends with this connection: one second keeps it (3.1.2.11.2).
      packet.properties = { ...packet.properties, sessionExpiryInterval: 1 };
      clients.lastConnection.add(client);
    }
    done(null, true);
  };
}

/**
 * aedes drops what is not newer than the last packet a client saw, so that a message which waited longer than the
 * next is lost. Copies under overlapping filters are told apart in forwarding.ts instead.
 */
function neverSeen(): object {
  const seen: object = Object.create(null);
  return Object.defineProperty(seen, "nomq", { get: () => 0, set: () => undefined });
}

function authorizePublish({ clients, counters, port }: HookOptions): Handlers["authorizePublish"] {
  const faultOf = (packet: IPublishPacket, client: AedesClient | undefined): Verdict | undefined => {
    const fault = publishFault(packet);
    if (fault !== undefined) return { code: REASON.protocolError, reason: fault };
    if (!isValidChannel(packet.topic)) return { code: REASON.topicNameInvalid, reason: "channel-invalid" };
    const principal = (client && clients.frontOf(client)?.principal) ?? "anonymous";
    if (port.may(principal, "publish", packet.topic)) return undefined;
    recordRefusal(port, { who: principal, action: "publish", name: packet.topic });
    return { code: REASON.notAuthorized, reason: "access" };
  };
  return (given, packet, done) => {
    const client = given === null ? undefined : clientInternals(given);
    const fault = faultOf(packet, client);
    if (packet.properties !== undefined && "willDelayInterval" in packet.properties) {
      // A property of wills, which PUBLISH does not have (section 3.1.3.2.2).
      const { willDelayInterval: _, ...properties } = packet.properties;
      packet.properties = properties;
    }
    if (fault === undefined) {
      done(null);
      return;
    }
    counters.add("messagesRefused", fault.reason ?? "refused");
    const front = client && clients.frontOf(client);
    if (fault.code === REASON.protocolError) front?.cut(fault.code, "protocol-error");
    if (packet.messageId !== undefined && packet.qos > 0) front?.settle(packet.messageId, fault);
    if (packet.qos > 0 || front?.version === 5) {
      done(new Error(fault.reason));
      return;
    }
    // MQTT 3.1.1 at QoS 0: aedes would close the connection.
    packet.topic = NOWHERE;
    packet.retain = false;
    done(null);
  };
}

function authorizeSubscribe({ clients, interest, port }: HookOptions): Handlers["authorizeSubscribe"] {
  return (given, subscription, done) => {
    const client = clientInternals(given);
    const refuse = (): void => {
      clients.refusedSubscriptions.add(subscription);
      done(null, null);
    };
    const principal = clients.frontOf(client)?.principal;
    const { topic } = subscription;
    if (principal === undefined || !mayFilter(port, principal, topic)) {
      refuse();
      return;
    }
    interest.hold(client.id, topic).then(
      () => {
        if (!client.closed) done(null, subscription);
        else if (client.clean) interest.drop(client.id, [topic]);
      },
      (error: unknown) => {
        port.log.warn("a subscription could not be stored", { error: String(error) });
        interest.drop(client.id, [topic]);
        if (!client.closed) refuse();
      },
    );
  };
}

function published(options: HookOptions): Handlers["published"] {
  const { clients, emitter, ingress, port, sessions } = options;
  const hand = (packet: IPublishPacket, client: AedesClient | undefined): void => {
    const front = client && clients.frontOf(client);
    const { messageId, qos } = packet;
    const session = client && sessions.find(client.id);
    const transfer = qos === 2 && messageId !== undefined ? session?.transfers.get(messageId) : undefined;
    const settle = (verdict: Verdict): void => {
      if (messageId === undefined || qos === 0) return;
      front?.settle(messageId, verdict);
      if (transfer === undefined) return;
      transfer.verdict = verdict;
      for (const tell of transfer.waiting) tell(verdict);
      transfer.waiting.clear();
      // MQTT 5.0 section 4.3.3: a PUBREC that refuses ends the transfer.
      if (verdict.code >= REASON.unspecified && session?.transfers.get(messageId) === transfer) {
        session.transfers.delete(messageId);
        port.release(`mqtt/${session.id}/${session.token}/${messageId}`);
      }
    };
    const from = front?.principal ?? "anonymous";
    const listener = front?.listener ?? { ack: "stored" as const, ackTimeout: 10_000 };
    const once = transfer && session ? `mqtt/${session.id}/${session.token}/${messageId}` : undefined;
    const hasReaders = emitter.reached() + sessions.reached() > 0;
    ingress.publish(packet, { from, listener, once, hasReaders }).then(settle, (error: unknown) => {
      port.log.warn("a message could not be published", { error: String(error) });
      if (qos > 0) front?.cut(REASON.implementationSpecific, "hub-closed");
    });
  };
  return (packet, given, done) => {
    const isOurs = "clientId" in packet && packet.clientId === FROM_HUB.clientId;
    // aedes passes null for what it publishes itself, whatever its types say.
    const client: object | null = given;
    if (!isOurs && !packet.topic.startsWith("$"))
      hand(packet, client === null ? undefined : clientInternals(client));
    done(null);
  };
}

function listenToConnections(aedes: Aedes, { clients, emitter, port, sessions }: HookOptions): void {
  const owners = new Map<string, AedesClient>();
  const ignore = (): void => undefined;
  aedes.on("clientError", ignore);
  aedes.on("connectionError", ignore);
  // An event without a type in aedes' declarations.
  (aedes as NodeJS.EventEmitter).on("error", (error) => port.log.error("aedes", { error: String(error) }));
  aedes.on("clientReady", (given) => {
    const client = clientInternals(given);
    owners.set(client.id, client);
    if (!client.clean) {
      const session = sessions.session(client.id);
      session.persistent = true;
      session.owner = clients.frontOf(client)?.principal;
    }
    if (clients.lastConnection.has(client)) {
      client.sessionExpiryInterval = 0;
      client._connectSessionExpiryInterval = 0;
    }
    rankHandlers(emitter, client, Object.keys(client.subscriptions));
    clients.frontOf(client)?.ready();
  });
  aedes.on("clientDisconnect", (given) => {
    const client = clientInternals(given);
    if (owners.get(client.id) !== client) return;
    owners.delete(client.id);
    if (client.clean) sessions.end(client.id);
  });
}

function rankHandlers(emitter: TopicEmitter, client: AedesClient, filters: readonly string[]): void {
  for (const filter of filters) {
    const subscription = client.subscriptions[filter];
    if (subscription !== undefined) emitter.rank(subscription.func, subscription.qos);
  }
}
