import { Readable } from "node:stream";
import type { Principal } from "@nomq/core";
import type { AedesClient } from "../aedes-internals.ts";
import type { TopicTrie } from "../topic-trie.ts";
import { createTopicTrie } from "../topic-trie.ts";
import type { DrainOptions } from "./drain.ts";
import { drainQueue } from "./drain.ts";
import type { QueuedPublish, QueuedPubrel, Session, StoredSubscription, Transfer } from "./session.ts";
import { createSession } from "./session.ts";
import type { Settled } from "./settled.ts";
import { settled } from "./settled.ts";

/** aedes may ask about a client that is not connected. */
type ClientName = Pick<AedesClient, "id">;
type AedesPacket = QueuedPublish | (QueuedPubrel & { brokerCounter?: number });
type Subscribing = Omit<StoredSubscription, "clientId">;

/** The sessions of the embedded broker, in memory, behind the interface aedes asks of a persistence. */
export interface SessionStore {
  has(clientId: string): boolean;
  count(): number;
  session(clientId: string): Session;
  find(clientId: string): Session | undefined;
  /** The session ends: all of it goes. */
  end(clientId: string): void;
  /** How many subscriptions of sessions the last publish at QoS 1 or 2 matched. */
  reached(): number;
  /** What aedes calls. */
  readonly persistence: object;
}

/** What the sessions need of the broker around them. */
export interface SessionStoreOptions {
  /** Retained messages under the filters, for the client that is subscribing. */
  retained(filters: readonly string[]): AsyncIterable<QueuedPublish>;
  /** The client has sent a QoS 2 publish again. */
  repeated(client: AedesClient, messageId: number, transfer: Transfer): void;
  /** A QoS 2 transfer of the session is over. */
  transferEnded(session: Session, messageId: number): void;
  ended(session: Session): void;
  dropped(reason: string): void;
  /** A subscription that authorizeSubscribe refused: aedes stores those too. */
  isRefused(subscription: object): boolean;
  /** Whether the owner of a session may have messages of the channel now. */
  may(owner: Principal | undefined, channel: string): boolean;
  /** The connection of a client whose stored messages are to be sent. */
  connection(client: AedesClient): DrainOptions;
}

/** The sessions by client id, and their subscriptions by filter. */
interface Book {
  readonly sessions: Map<string, Session>;
  readonly trie: TopicTrie<StoredSubscription>;
  session(id: string): Session;
  unsubscribe(session: Session, filter: string): void;
  end(id: string): void;
  enqueue(clientId: string, packet: QueuedPublish): void;
  reached: number;
}

function createBook(options: SessionStoreOptions): Book {
  const sessions = new Map<string, Session>();
  const trie = createTopicTrie<StoredSubscription>();

  const session = (id: string): Session => {
    const found = sessions.get(id) ?? createSession(id, options.dropped);
    sessions.set(id, found);
    return found;
  };
  const unsubscribe = (one: Session, filter: string): void => {
    const before = one.subscriptions.get(filter);
    if (before === undefined) return;
    one.subscriptions.delete(filter);
    trie.remove(filter, before);
  };
  const end = (id: string): void => {
    const one = sessions.get(id);
    if (one === undefined) return;
    for (const filter of [...one.subscriptions.keys()]) unsubscribe(one, filter);
    for (const messageId of [...one.transfers.keys()]) options.transferEnded(one, messageId);
    sessions.delete(id);
    options.ended(one);
  };
  const enqueue = (clientId: string, packet: QueuedPublish): void => {
    // TTL 0 is now or never: nothing to keep.
    if (packet.properties?.messageExpiryInterval !== 0) session(clientId).queue.add(packet);
  };
  return { sessions, trie, session, unsubscribe, end, enqueue, reached: 0 };
}

/** Makes an empty store. */
export function createSessionStore(options: SessionStoreOptions): SessionStore {
  const book = createBook(options);
  const { sessions } = book;
  return {
    has: (id) => sessions.get(id)?.persistent === true,
    count: () => sessions.size,
    session: book.session,
    find: (id) => sessions.get(id),
    end: book.end,
    reached: () => book.reached,
    persistence: {
      ...publishing(book, options),
      ...subscribing(book, options),
      ...outgoing(book, options),
      ...incoming(book, options),
      ...WILLS,
      // aedes insists on an async function.
      async setup(): Promise<void> {},
      async destroy(): Promise<void> {},
    },
  };
}

/** What a publish passes through, step by step in one turn. */
function publishing(book: Book, options: SessionStoreOptions) {
  return {
    /** The hub keeps what is retained. */
    storeRetained: (): Settled<void> => settled(undefined),
    subscriptionsByTopic(topic: string): Settled<StoredSubscription[]> {
      const matching = book.trie
        .match(topic)
        .filter(({ clientId }) => options.may(book.sessions.get(clientId)?.owner, topic));
      book.reached = matching.length;
      return settled(matching.filter(({ qos }) => qos > 0));
    },
    outgoingEnqueueCombi(matching: readonly StoredSubscription[], packet: QueuedPublish): Settled<void> {
      const byClient = Map.groupBy(
        matching.filter(({ clientId, nl }) => nl !== true || packet.clientId !== clientId),
        ({ clientId }) => clientId,
      );
      for (const [clientId, its] of byClient) book.enqueue(clientId, queuedFor(its, packet));
      return settled(undefined);
    },
    createRetainedStreamCombi: (filters: readonly string[]): Readable =>
      Readable.from(options.retained(filters)),
  };
}

/** Subscriptions of sessions. */
function subscribing({ sessions, trie, session, unsubscribe, end }: Book, options: SessionStoreOptions) {
  return {
    async addSubscriptions({ id }: ClientName, subscriptions: readonly Subscribing[]): Promise<void> {
      const one = session(id);
      for (const wanted of subscriptions) {
        if (options.isRefused(wanted)) continue;
        const { topic, qos, rh, rap, nl, subscriptionIdentifier } = wanted;
        unsubscribe(one, topic);
        const stored = { clientId: id, topic, qos, rh, rap, nl, subscriptionIdentifier };
        one.subscriptions.set(topic, stored);
        trie.add(topic, stored);
      }
    },
    async removeSubscriptions({ id }: ClientName, filters: readonly string[]): Promise<void> {
      const one = sessions.get(id);
      if (one !== undefined) for (const filter of filters) unsubscribe(one, filter);
    },
    subscriptionsByClient: async ({ id }: ClientName): Promise<Subscribing[]> =>
      [...(sessions.get(id)?.subscriptions.values() ?? [])].map(({ clientId: _, ...rest }) => ({ ...rest })),
    cleanSubscriptions: async ({ id }: ClientName): Promise<void> => end(id),
  };
}

/** Messages to sessions. */
function outgoing({ sessions, enqueue }: Book, options: SessionStoreOptions) {
  return {
    async outgoingEnqueue({ clientId }: { clientId: string }, packet: QueuedPublish): Promise<void> {
      enqueue(clientId, packet);
    },
    async outgoingUpdate({ id }: ClientName, packet: AedesPacket): Promise<void> {
      const queue = sessions.get(id)?.queue;
      if (queue === undefined || packet.messageId === undefined) return;
      if (packet.cmd === "pubrel") queue.released(packet.messageId);
      else queue.assign(packet.brokerCounter, packet.messageId);
    },
    /** Without an id there is nothing to clear: who refuses a live message discards it (broker.ts). */
    async outgoingClearMessageId({ id }: ClientName, packet: { messageId?: number }): Promise<unknown> {
      if (packet.messageId === undefined) return undefined;
      return sessions.get(id)?.queue.clear(packet.messageId);
    },
    outgoingStream(client: AedesClient): Readable {
      const one = sessions.get(client.id);
      const connection = options.connection(client);
      if (one !== undefined) {
        client._nextId = one.queue.nextId();
        return Readable.from(drainQueue(one.queue, connection), { highWaterMark: 1 });
      }
      connection.drained();
      return Readable.from([]);
    },
  };
}

/** Transfers at QoS 2 from clients. */
function incoming({ sessions, session }: Book, options: SessionStoreOptions) {
  return {
    async incomingStorePacket({ id }: ClientName, { messageId }: { messageId: number }): Promise<void> {
      session(id).transfers.set(messageId, { verdict: undefined, waiting: new Set() });
    },
    async incomingGetPacket(
      client: AedesClient,
      packet: { cmd: string; messageId: number },
    ): Promise<object> {
      const transfer = sessions.get(client.id)?.transfers.get(packet.messageId);
      if (transfer === undefined) throw new Error("no such packet");
      if (packet.cmd === "publish") options.repeated(client, packet.messageId, transfer);
      return packet;
    },
    async incomingDelPacket({ id }: ClientName, { messageId }: { messageId: number }): Promise<void> {
      const one = sessions.get(id);
      if (one?.transfers.delete(messageId) === true) options.transferEnded(one, messageId);
    },
  };
}

/** Wills live and die with their connection's object in aedes; none is kept here. */
const WILLS = {
  async putWill(_client: ClientName, will: object): Promise<void> {
    Object.assign(will, { clientId: _client.id });
  },
  getWill: async (): Promise<undefined> => undefined,
  delWill: async (): Promise<undefined> => undefined,
  streamWill: (): Readable => Readable.from([]),
};

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
