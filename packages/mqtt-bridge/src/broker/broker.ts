import type { Attachment, MappingLoss, Message, Outcome, Port } from "@nomq/core";
import { Aedes } from "aedes";
import type { IPublishPacket } from "mqtt-packet";
import type { Enter } from "../access/login.ts";
import { mayFilter } from "../access/rights.ts";
import { clientInternals, internalsOf } from "../aedes/aedes-internals.ts";
import { createTopicEmitter } from "../aedes/topic-emitter.ts";
import { createClientDirectory } from "../clients/client-directory.ts";
import type { ClientRecords } from "../clients/client-records.ts";
import { createInterest } from "../clients/interest.ts";
import { createLiveClients } from "../clients/live-clients.ts";
import { sessionRefusal } from "../clients/session-rights.ts";
import { createSlowClients, type SlowClients } from "../clients/slow-clients.ts";
import type { Counters } from "../counters.ts";
import type { Front } from "../front/front.ts";
import { RECEIVE_MAXIMUM } from "../front/front.ts";
import { decodePacket } from "../front/packets.ts";
import { createWriteTurn } from "../front/writer.ts";
import type { Arrival } from "../listen/arrival.ts";
import { createClientLosses } from "../losses.ts";
import { publishFromMessage } from "../mapping.ts";
import { createIngress } from "../messages/ingress.ts";
import type { SessionBounds } from "../session-limits.ts";
import type { SessionLedgerRow } from "../sessions/ledger.ts";
import { readState, type StoredState } from "../sessions/stored-state.ts";
import type { Connection } from "./connection.ts";
import { takeConnection } from "./connection.ts";
import { createHooks } from "./hooks.ts";
import { createSessionParts, type SessionParts } from "./session-parts.ts";

/** Sessions that wait to end; beyond that they end at once. */
const MOST_PENDING_SESSIONS = 10_000;
/** Topic aliases a client may use towards us (MQTT 5.0 section 3.2.2.3.8). */
const TOPIC_ALIASES = 10;
/** How long a stop waits for a store that hangs. */
const CLOSE_MS = 2_000;
const NEVER_MS = 2 ** 31 - 1;

/** The embedded broker: aedes between the fronts of its connections and the hub. */
export interface Broker {
  /** The filters of the sessions that were stored, once each. */
  filters(): readonly string[];
  /** Begins to work; the attachment's filters follow the sessions' subscriptions. */
  open(attachment: Attachment): Promise<void>;
  connect(arrival: Arrival, enter: Enter): void;
  /** A message from the hub, for every matching session. */
  deliver(message: Message, expiresInMs: number | undefined): Promise<Outcome>;
  /** Listeners are open: clients of an earlier run have had their chance, their wills are due. */
  begin(): void;
  /** What became of the messages of sessions. */
  ledger(): SessionLedgerRow;
  /** Resolves when no publish of a client waits for the hub. */
  idle(): Promise<void>;
  /** What clients did not get of messages. */
  lost(): readonly MappingLoss[];
  /** Clients that take nothing. */
  readonly slow: Pick<SlowClients, "list" | "count">;
  /** Ends all connections. */
  close(): Promise<void>;
}

/** What a broker is made of. */
export interface BrokerOptions {
  readonly port: Port;
  readonly counters: Counters;
  readonly records: ClientRecords;
  readonly bounds: SessionBounds;
  /** A client was turned away. */
  refused(reason: string, arrival: Arrival, who?: string): void;
}

/** Makes a broker with the sessions that were stored; it works from `open` on. */
export async function createBroker(options: BrokerOptions): Promise<Broker> {
  const broker = makeBroker(options, await readState(options.port.state()));
  await broker.restore();
  return broker;
}

function makeBroker(options: BrokerOptions, stored: StoredState): Broker & Pick<SessionParts, "restore"> {
  const { port, counters, bounds } = options;
  const losses = createClientLosses(port.log);
  const connections = new Set<Connection>();
  const turn = createWriteTurn();
  const clients = createClientDirectory();
  const emitter = createTopicEmitter(port.log);
  const ingress = createIngress(port, (reason) => counters.add("messagesRefused", reason));
  const { restore, journal, wills, sessions, publishing, durable } = createSessionParts({
    ...{ port, counters, clients, losses, ingress, emitter, stored, bounds },
  });
  const live = createLiveClients(port, clients);
  const slow = createSlowClients({ clock: port.clock, records: options.records });
  let unfollow = (): void => undefined;
  let aedes: Aedes | undefined;
  const opened = Promise.withResolvers<void>();
  let isStopping = false;

  const failed = (error: unknown): void => {
    port.log.error("an MQTT connection failed", { error: String(error) });
  };
  const accepted = (front: Front, frame: Buffer): void => {
    if (aedes === undefined) return;
    clients.add(front);
    live.add(front);
    const client = clientInternals(aedes.handle(front.stream));
    const parse = client._parser.parse.bind(client._parser);
    // An exception in the decoder, or in anything it calls, ends this connection and nothing else.
    client._parser.parse = (bytes) => {
      try {
        return parse(bytes);
      } catch (error) {
        client.emit("error", new Error("decoder failed", { cause: error }));
        return 0;
      }
    };
    front.stream.push(frame);
  };
  const retainedSent = ({ version, stream }: Front, frame: Buffer, id: number): void => {
    const client = clients.clientOf(stream);
    if (client === undefined || client.clean) return;
    const packet = decodePacket(frame, version);
    if (packet?.cmd === "publish") sessions.adopt(client.id, packet, id);
  };
  /** Wills of those who were connected, and when their sessions end. */
  const written = async (): Promise<void> => {
    await ingress.idle();
    await journal.stored()?.catch(() => undefined);
  };
  /** To all sessions, in this very call: nothing on the way waits. */
  const give = (packet: IPublishPacket, expiresInMs: number | undefined): void => {
    // 0 is now or never: it is nowhere kept.
    const at = expiresInMs ? { messageExpiry: port.clock.monotonic() + expiresInMs } : {};
    // aedes' packets carry its own fields beside the protocol's.
    aedes?.publish({ ...packet, ...at } as Parameters<Aedes["publish"]>[0], () => undefined);
  };

  return {
    restore,
    async open(attachment) {
      const interest = createInterest(attachment, {
        restored: sessions.filters(),
        most: bounds.subscriptions,
      });
      clients.interest = interest;
      const hooks = createHooks({
        ...{ port, counters, clients, sessions, publishing, wills, emitter, interest, losses },
        records: options.records,
      });
      const made = new Aedes({
        ...LIMITS,
        sessionExpiryIntervalLimit: bounds.expiry,
        ...hooks.handlers,
        mq: emitter,
        persistence: sessions.persistence,
      });
      const internals = internalsOf(made);
      internals.clients = Object.create(null);
      internals.brokers = Object.create(null);
      // aedes cannot be told of more than 100; our own matching has no such limit.
      internals.maxTopicLevels = Number.POSITIVE_INFINITY;
      hooks.listen(made);
      await made.listen();
      unfollow = port.onAccessChange(live.review);
      aedes = made;
      opened.resolve();
    },
    connect(arrival, enter) {
      const connection = takeConnection(arrival, {
        clock: port.clock,
        counters,
        turn,
        enter,
        refused: options.refused,
        isStopping: () => isStopping,
        refuseSession: (packet, principal) =>
          sessionRefusal(packet, principal, { port, sessions, live, bounds }),
        sessionPresent: (connect) => connect.clean !== true && sessions.has(connect.clientId),
        accepted(front, frame) {
          options.records.connected(front, arrival);
          slow.add(front, arrival);
          accepted(front, frame);
        },
        subscriptions: (front, principal) => ({
          held: () => clients.filtersOf(front().stream),
          hasRoom: (filter, asked) => clients.hasRoomFor(front().stream, filter, asked),
          may: (filter) => mayFilter(port, principal, filter),
        }),
        durable,
        retainedSent,
        failed,
        closed(front) {
          connections.delete(connection);
          if (front === undefined) return;
          slow.remove(front);
          options.records.disconnected(front, arrival);
        },
      });
      connections.add(connection);
    },
    filters: () => [...new Set([...sessions.filters()].flatMap(([, filters]) => filters))],
    async deliver(message, expiresInMs) {
      await opened.promise;
      if (isStopping) return { is: "retry", reason: "broker-closed" };
      const packet = publishFromMessage(message, expiresInMs);
      losses.made(packet, message);
      const state = journal.gather(() => sessions.naming(message.id, () => give(packet, expiresInMs)));
      return state.length === 0 ? { is: "delivered" } : { is: "delivered", state };
    },
    begin: () => wills.begin(),
    ledger: () => sessions.ledger(),
    idle: () => ingress.idle(),
    lost: () => losses.read(),
    slow,
    async close() {
      isStopping = true;
      slow.close();
      unfollow();
      const closing = aedes;
      if (closing !== undefined) await new Promise<void>((resolve) => closing.close(() => resolve()));
      for (const connection of [...connections]) connection.close();
      await allClosed(connections);
      wills.close();
      sessions.close();
      const grace = Promise.withResolvers<void>();
      const cancel = port.clock.after(CLOSE_MS, grace.resolve);
      await Promise.race([written(), grace.promise]);
      cancel();
    },
  };
}

const LIMITS = {
  id: "nomq",
  // 0 = no limit on listeners: each waiting write may be one.
  concurrency: 0,
  drainTimeout: 0,
  // The front has its own.
  connectTimeout: NEVER_MS,
  heartbeatInterval: NEVER_MS / 4,
  queueLimit: 1000,
  topicAliasMaximum: TOPIC_ALIASES,
  receiveMaximum: RECEIVE_MAXIMUM,
  pendingSessionsLimit: MOST_PENDING_SESSIONS,
};

async function allClosed(connections: ReadonlySet<Connection>): Promise<void> {
  while (connections.size > 0) await new Promise((resolve) => setImmediate(resolve));
}
