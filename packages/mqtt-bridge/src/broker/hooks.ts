import type { Port } from "@nomq/core";
import type { Aedes, AedesOptions } from "aedes";
import { mayFilter } from "../access/rights.ts";
import type { AedesClient } from "../aedes/aedes-internals.ts";
import { clientInternals, internalsOf } from "../aedes/aedes-internals.ts";
import type { TopicEmitter } from "../aedes/topic-emitter.ts";
import type { ClientDirectory } from "../clients/client-directory.ts";
import type { ClientRecords } from "../clients/client-records.ts";
import type { Interest } from "../clients/interest.ts";
import type { Counters } from "../counters.ts";
import type { ClientLosses } from "../losses.ts";
import { createForwarding } from "../messages/forwarding.ts";
import type { Publishing } from "../messages/publishing.ts";
import type { QueuedPublish } from "../sessions/session.ts";
import type { SessionStore } from "../sessions/session-store.ts";
import type { WillBook } from "../sessions/wills.ts";

/** What the hooks need. */
export interface HookOptions {
  readonly port: Port;
  readonly counters: Counters;
  readonly clients: ClientDirectory;
  readonly sessions: SessionStore;
  readonly publishing: Publishing;
  readonly wills: WillBook;
  readonly emitter: TopicEmitter;
  readonly interest: Interest;
  readonly losses: ClientLosses;
  readonly records: ClientRecords;
}

type Handlers = Required<
  Pick<AedesOptions, "preConnect" | "authorizePublish" | "authorizeSubscribe" | "authorizeForward">
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
    clock: options.port.clock,
    nextId: (client) => (client.clean ? undefined : options.sessions.find(client.id)?.queue.nextId()),
    dropped: (client, brokerCounter, reason) => {
      options.counters.add("messagesDropped", reason);
      options.sessions.discard(client.id, brokerCounter, reason);
    },
  });
  return {
    handlers: {
      preConnect: preConnect(options),
      authorizePublish: options.publishing.authorize,
      authorizeSubscribe: authorizeSubscribe(options),
      // aedes takes null for "not to this client"; its own fields come along untyped.
      authorizeForward: (client, packet) =>
        forwarding.decide(clientInternals(client), packet as QueuedPublish) as typeof packet | null,
    },
    listen(aedes) {
      options.publishing.through(aedes);
      followEnds(aedes, options);
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

function authorizeSubscribe({ clients, interest, port }: HookOptions): Handlers["authorizeSubscribe"] {
  return (given, subscription, done) => {
    const client = clientInternals(given);
    const refuse = (): void => {
      clients.refusedSubscriptions.add(subscription);
      done(null, null);
    };
    const principal = clients.frontOf(client)?.principal;
    const { topic } = subscription;
    // Clients that ask in the same turn may each have been told that there is room.
    const isFull = !interest.hasRoomFor(client.id, topic);
    if (principal === undefined || isFull || !mayFilter(port, principal, topic)) {
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

/** aedes would publish a will without the hub's word, and measures by the machine's clock. */
function followEnds(aedes: Aedes, { clients, sessions, wills }: HookOptions): void {
  const internals = internalsOf(aedes);
  internals.publishWill = (client, will) => wills.publish(client, will);
  internals.scheduleWill = (client, will, seconds) => wills.schedule(client, will, seconds);
  internals.scheduleSessionExpiry = (client) => {
    if (internals._takingOver.has(client.id) || clients.frontOf(client) === undefined) return;
    const expiry = lastsFor(client);
    if (expiry > 0) sessions.disconnected(client.id, expiry);
    else sessions.end(client.id);
  };
}

/** Seconds the session outlives the connection by; all ones is for ever (MQTT 5.0 section 3.1.2.11.2). */
export function lastsFor({ sessionExpiryInterval }: AedesClient): number {
  return sessionExpiryInterval >= 0xffff_ffff ? Number.POSITIVE_INFINITY : sessionExpiryInterval;
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
