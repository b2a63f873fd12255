import { Readable } from "node:stream";
import type { Clock, Principal } from "@nomq/core";
import type { AedesClient } from "../aedes/aedes-internals.ts";
import type { Body } from "./body.ts";
import type { Book } from "./book.ts";
import type { DrainOptions } from "./drain.ts";
import { drainQueue } from "./drain.ts";
import type { QueuedPublish, QueuedPubrel, StoredSubscription, Transfer } from "./session.ts";
import type { Settled } from "./settled.ts";
import { settled } from "./settled.ts";

/** aedes may ask about a client that is not connected. */
type ClientName = Pick<AedesClient, "id">;
type AedesPacket = QueuedPublish | (QueuedPubrel & { brokerCounter?: number });
type Subscribing = Omit<StoredSubscription, "clientId">;

/** What aedes asks of the broker through the sessions. */
export interface PersistenceOptions {
  readonly clock: Clock;
  /** What aedes calls about wills. */
  readonly wills: { readonly persistence: object };
  /** Retained messages under the filters, for the client that is subscribing. */
  retained(filters: readonly string[]): AsyncIterable<QueuedPublish>;
  /** The client has sent a QoS 2 publish again. */
  repeated(client: AedesClient, messageId: number, transfer: Transfer): void;
  /** A subscription that authorizeSubscribe refused: aedes stores those too. */
  isRefused(subscription: object): boolean;
  /** Whether the owner of a session may have messages of the channel now. */
  may(owner: Principal | undefined, channel: string): boolean;
  /** The connection of a client whose stored messages are to be sent. */
  connection(client: AedesClient): DrainOptions;
}

/** What a store works with. */
export interface Parts {
  readonly book: Book;
  readonly options: PersistenceOptions;
  bodyOf(packet: QueuedPublish): Body;
  readonly wipers: WeakSet<object>;
  reached: number;
  /** The last number given to a message for aedes. */
  counter: number;
}

/** Makes what aedes calls. Memory is the truth: nothing here waits for a store. */
export function persistenceOf(parts: Parts): object {
  return {
    ...publishing(parts),
    ...subscribing(parts),
    ...outgoing(parts),
    ...incoming(parts),
    ...parts.options.wills.persistence,
    // aedes insists on an async function.
    async setup(broker: { counter: number }): Promise<void> {
      broker.counter = Math.max(broker.counter, parts.counter);
    },
    async destroy(): Promise<void> {},
  };
}

/** What a publish passes through, step by step in one turn. */
function publishing(parts: Parts) {
  const { book, options } = parts;
  return {
    /** The hub keeps what is retained. */
    storeRetained: (): Settled<void> => settled(undefined),
    subscriptionsByTopic(topic: string): Settled<StoredSubscription[]> {
      const matching = book.trie
        .match(topic)
        .filter(({ clientId }) => options.may(book.sessions.get(clientId)?.owner, topic));
      parts.reached = matching.length;
      return settled(matching.filter(({ qos }) => qos > 0));
    },
    outgoingEnqueueCombi(matching: readonly StoredSubscription[], packet: QueuedPublish): Settled<void> {
      const wanted = matching.filter(({ clientId, nl }) => nl !== true || packet.clientId !== clientId);
      if (wanted.length === 0) return settled(undefined);
      const body = parts.bodyOf(packet);
      for (const [clientId, its] of Map.groupBy(wanted, (one) => one.clientId)) {
        const session = book.session(clientId);
        // The hub may repeat what was stored just before a restart.
        const isThere = body.message !== undefined && session.restored.has(body.message);
        if (!isThere) book.enqueue(session, queuedFor(its, packet), body);
      }
      return settled(undefined);
    },
    createRetainedStreamCombi: (filters: readonly string[]): Readable =>
      Readable.from(options.retained(filters)),
  };
}

/** Subscriptions of sessions. */
function subscribing({ book, options, wipers }: Parts) {
  return {
    async addSubscriptions({ id }: ClientName, subscriptions: readonly Subscribing[]): Promise<void> {
      const one = book.session(id);
      for (const wanted of subscriptions) {
        if (options.isRefused(wanted)) continue;
        const { topic, qos, rh, rap, nl, subscriptionIdentifier } = wanted;
        book.subscribe(one, { clientId: id, topic, qos, rh, rap, nl, subscriptionIdentifier });
      }
    },
    async removeSubscriptions({ id }: ClientName, filters: readonly string[]): Promise<void> {
      const one = book.sessions.get(id);
      if (one !== undefined) for (const filter of filters) book.unsubscribe(one, filter);
    },
    subscriptionsByClient: async ({ id }: ClientName): Promise<Subscribing[]> =>
      [...(book.sessions.get(id)?.subscriptions.values() ?? [])].map(({ clientId: _, ...rest }) => ({
        ...rest,
      })),
    async cleanSubscriptions(client: ClientName): Promise<void> {
      if (book.sessions.get(client.id)?.persistent === true) wipers.add(client);
      book.end(client.id, "session-ended");
    },
  };
}

/** Messages to sessions. */
function outgoing(parts: Parts) {
  const { book, options } = parts;
  return {
    async outgoingEnqueue({ clientId }: { clientId: string }, packet: QueuedPublish): Promise<void> {
      book.enqueue(book.session(clientId), packet, parts.bodyOf(packet));
    },
    async outgoingUpdate(client: AedesClient, packet: AedesPacket): Promise<void> {
      const queue = book.sessions.get(client.id)?.queue;
      if (queue === undefined || packet.messageId === undefined) return;
      // What aedes had read ahead when the connection ended is the next connection's, under its ids.
      if (packet.cmd === "publish" && options.connection(client).isOver()) return;
      if (packet.cmd === "pubrel") queue.released(packet.messageId);
      else queue.assign(packet.brokerCounter, packet.messageId);
    },
    /** Without an id there is nothing to clear: who refuses a live message discards it (hooks.ts). */
    async outgoingClearMessageId(
      { id }: ClientName,
      packet: { messageId?: number; reasonCode?: number },
    ): Promise<unknown> {
      if (packet.messageId === undefined) return undefined;
      return book.sessions.get(id)?.queue.clear(packet.messageId, (packet.reasonCode ?? 0) >= 0x80);
    },
    outgoingStream(client: AedesClient): Readable {
      const one = book.sessions.get(client.id);
      const connection = options.connection(client);
      if (one !== undefined)
        return Readable.from(drainQueue(one.queue, connection, options.clock), { highWaterMark: 1 });
      connection.drained();
      return Readable.from([]);
    },
  };
}

/** Transfers at QoS 2 from clients. */
function incoming({ book, options }: Parts) {
  return {
    async incomingStorePacket({ id }: ClientName, { messageId }: { messageId: number }): Promise<void> {
      book.beginTransfer(book.session(id), messageId);
    },
    async incomingGetPacket(
      client: AedesClient,
      packet: { cmd: string; messageId: number },
    ): Promise<object> {
      const transfer = book.sessions.get(client.id)?.transfers.get(packet.messageId);
      if (transfer === undefined) throw new Error("no such packet");
      if (packet.cmd === "publish") options.repeated(client, packet.messageId, transfer);
      return packet;
    },
    async incomingDelPacket({ id }: ClientName, { messageId }: { messageId: number }): Promise<void> {
      const one = book.sessions.get(id);
      if (one !== undefined) book.endTransfer(one, messageId);
    },
  };
}

/** The one copy a session gets under all its matching subscriptions (MQTT 5.0 section 3.3.4). */
function queuedFor(subscriptions: readonly StoredSubscription[], packet: QueuedPublish): QueuedPublish {
  const highest = subscriptions.some(({ qos }) => qos === 2) ? 2 : 1;
  const ids = subscriptions.flatMap(({ subscriptionIdentifier: id }) => (id === undefined ? [] : [id]));
  return {
    ...packet,
    cmd: "publish",
    qos: packet.qos === 2 && highest === 2 ? 2 : 1,
    retain: packet.retain && subscriptions.some(({ rap }) => rap === true),
    ...(ids.length > 0 && { properties: { ...packet.properties, subscriptionIdentifier: ids } }),
  };
}
