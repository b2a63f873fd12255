import type { Clock } from "@nomq/core";
import type { TopicTrie } from "../aedes/topic-trie.ts";
import { createTopicTrie } from "../aedes/topic-trie.ts";
import type { Verdict } from "../front/packets.ts";
import type { Bodies, Body } from "./body.ts";
import type { JournalRecord, SessionJournal } from "./journal.ts";
import type { SessionLedger } from "./ledger.ts";
import type { QueueOptions } from "./queue.ts";
import type { QueuedPublish, Session, StoredSubscription } from "./session.ts";
import { createSession } from "./session.ts";
import { sessionKey, subscriptionKey, transferKey } from "./stored-key.ts";
import { sealed } from "./stored-value.ts";

/** What the sessions need around them. */
export interface BookOptions extends Pick<QueueOptions, "each" | "room"> {
  readonly clock: Clock;
  readonly journal: SessionJournal;
  readonly bodies: Bodies;
  readonly ledger: SessionLedger;
  /** A QoS 2 transfer of the session is over. */
  transferEnded(session: Session, messageId: number): void;
  ended(session: Session): void;
  dropped(reason: string): void;
}

/** The sessions by client id, and their subscriptions by filter. What lasts is noted as it changes. */
export interface Book {
  readonly sessions: Map<string, Session>;
  readonly trie: TopicTrie<StoredSubscription>;
  /** How many sessions last. */
  lasting(): number;
  /** The session of the client; a new one if there is none. */
  session(id: string): Session;
  /** A session that was stored. */
  restore(given: { id: string; number: number; token: string }): Session;
  /** The session lasts from now on, or changes how. */
  keep(session: Session): void;
  subscribe(session: Session, subscription: StoredSubscription, isStored?: boolean): void;
  unsubscribe(session: Session, filter: string): void;
  beginTransfer(session: Session, messageId: number): void;
  /** The transfer's message is with everyone who must get it. */
  storeTransfer(session: Session, transfer: StoredTransfer): void;
  endTransfer(session: Session, messageId: number): boolean;
  /** The session ends: all of it goes. */
  end(id: string, reason: string): void;
  enqueue(session: Session, packet: QueuedPublish, body: Body): void;
}

/** A QoS 2 transfer of a client whose message is with everyone who must get it. */
export interface StoredTransfer {
  readonly messageId: number;
  readonly verdict: Verdict;
  /** With `ack: delivered` the verdict is the outcome of this message. */
  readonly message?: string | undefined;
  /** It comes from the store. */
  readonly isStored?: boolean;
}

/** What is written of a session. */
export interface StoredSession {
  readonly id: string;
  readonly token: string;
  readonly owner?: Session["owner"];
  /** Seconds; absent: for ever. */
  readonly expiry?: number;
  /** Unix milliseconds; absent: it was connected, or lasts for ever. */
  readonly until?: number;
}

/** Makes an empty book. */
export function createBook(options: BookOptions): Book {
  const { clock, journal } = options;
  const sessions = new Map<string, Session>();
  const trie = createTopicTrie<StoredSubscription>();
  let lastNumber = 0;
  let lasting = 0;

  const make = (id: string, number: number, token?: string): Session => {
    lastNumber = Math.max(lastNumber, number);
    const made = createSession(id, { ...options, number, ...(token !== undefined && { token }) });
    sessions.set(id, made);
    return made;
  };
  const recordOf = (session: Session): JournalRecord => {
    const key = sessionKey(session.number);
    return {
      ...{ key, isWritten: false },
      value: () => (session.persistent ? sealed(key, storedOf(session, clock)) : undefined),
    };
  };
  const noteOf = (session: Session, record: JournalRecord | undefined): void => {
    if (session.persistent && record !== undefined) journal.note(record);
  };
  const unsubscribe = (one: Session, filter: string): void => {
    const before = one.subscriptions.get(filter);
    if (before === undefined) return;
    one.subscriptions.delete(filter);
    trie.remove(filter, before);
    noteOf(one, one.subscriptionRecords.get(filter));
    one.subscriptionRecords.delete(filter);
  };
  const endTransfer = (one: Session, messageId: number): boolean => {
    const transfer = one.transfers.get(messageId);
    if (transfer === undefined) return false;
    one.transfers.delete(messageId);
    // Before the record's end: whoever waits for that waits for both.
    options.transferEnded(one, messageId);
    noteOf(one, transfer.record);
    return true;
  };

  return {
    sessions,
    trie,
    lasting: () => lasting,
    session: (id) => sessions.get(id) ?? make(id, lastNumber + 1),
    restore({ id, number, token }) {
      const one = make(id, number, token);
      one.persistent = true;
      lasting += 1;
      one.record = { ...recordOf(one), isWritten: true };
      return one;
    },
    keep(one) {
      if (!one.persistent) lasting += 1;
      one.persistent = true;
      one.record ??= recordOf(one);
      journal.note(one.record);
    },
    subscribe(one, subscription, isStored = false) {
      const { topic } = subscription;
      const before = one.subscriptions.get(topic);
      if (before !== undefined) trie.remove(topic, before);
      one.subscriptions.set(topic, subscription);
      trie.add(topic, subscription);
      const key = subscriptionKey(one.number, topic);
      const record = one.subscriptionRecords.get(topic) ?? {
        ...{ key, isWritten: isStored },
        value: () => {
          const { clientId: _, ...now } = one.subscriptions.get(topic) ?? { clientId: undefined };
          return one.persistent && "topic" in now ? sealed(key, now) : undefined;
        },
      };
      one.subscriptionRecords.set(topic, record);
      if (!isStored) noteOf(one, record);
    },
    unsubscribe,
    beginTransfer(one, messageId) {
      const { record } = one.transfers.get(messageId) ?? { record: undefined };
      one.transfers.set(messageId, { verdict: undefined, waiting: new Set(), record });
    },
    storeTransfer(one, { messageId, verdict, message, isStored = false }) {
      const transfer = one.transfers.get(messageId);
      if (transfer === undefined) return;
      const key = transferKey(one.number, messageId);
      const record: JournalRecord = transfer.record ?? {
        ...{ key, isWritten: isStored },
        value: () =>
          one.persistent && one.transfers.get(messageId)?.record === record
            ? sealed(key, { code: verdict.code, ...(message !== undefined && { message }) })
            : undefined,
      };
      transfer.record = record;
      if (!isStored) noteOf(one, record);
    },
    endTransfer,
    end(id, reason) {
      const one = sessions.get(id);
      if (one === undefined) return;
      sessions.delete(id);
      const { persistent, record } = one;
      // First of all, so that what is stored is nobody's from then on.
      if (persistent && record !== undefined) journal.note(record);
      for (const filter of [...one.subscriptions.keys()]) unsubscribe(one, filter);
      for (const messageId of [...one.transfers.keys()]) endTransfer(one, messageId);
      if (persistent) lasting -= 1;
      one.queue.end(reason);
      one.persistent = false;
      options.ended(one);
    },
    enqueue(one, packet, body) {
      // TTL 0 is now or never: nothing to keep.
      if (packet.properties?.messageExpiryInterval !== 0) one.queue.add(packet, body);
    },
  };
}

function storedOf({ id, token, owner, expiry, until }: Session, clock: Clock): StoredSession {
  const at = until === undefined || until === Number.POSITIVE_INFINITY ? undefined : until;
  return {
    ...{ id, token },
    ...(owner !== undefined && { owner }),
    ...(Number.isFinite(expiry) && { expiry }),
    ...(at !== undefined && { until: clock.now() + at - clock.monotonic() }),
  };
}
