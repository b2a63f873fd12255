import type { Port } from "@nomq/core";
import type { AedesClient } from "../aedes/aedes-internals.ts";
import type { TopicEmitter } from "../aedes/topic-emitter.ts";
import type { ClientDirectory } from "../clients/client-directory.ts";
import type { Counters } from "../counters.ts";
import type { Front, FrontOptions } from "../front/front.ts";
import type { ClientLosses } from "../losses.ts";
import type { Ingress } from "../messages/ingress.ts";
import { createPublishing, type Publishing } from "../messages/publishing.ts";
import { createRetainedSource } from "../messages/retained.ts";
import type { SessionBounds } from "../session-limits.ts";
import { createEarlierClock } from "../sessions/earlier-clock.ts";
import { createSessionJournal, type SessionJournal } from "../sessions/journal.ts";
import type { SessionStore, SessionStoreOptions } from "../sessions/session-store.ts";
import { createSessionStore } from "../sessions/session-store.ts";
import type { StoredState } from "../sessions/stored-state.ts";
import { createWillBook, type WillBook } from "../sessions/wills.ts";
import { lastsFor } from "./hooks.ts";

/** What the sessions are made of. */
export interface SessionPartsOptions {
  readonly port: Port;
  readonly counters: Counters;
  readonly clients: ClientDirectory;
  readonly losses: ClientLosses;
  readonly ingress: Ingress;
  readonly emitter: TopicEmitter;
  /** What an earlier run has left. */
  readonly stored: StoredState;
  readonly bounds: SessionBounds;
}

/** The sessions, what is written of them, and what comes from and goes to them. */
export interface SessionParts {
  /** Puts back the sessions that were stored. */
  restore(): Promise<void>;
  readonly journal: SessionJournal;
  readonly wills: WillBook;
  readonly sessions: SessionStore;
  readonly publishing: Publishing;
  /** What of the session behind a front lasts. */
  durable(front: () => Front): FrontOptions["durable"];
}

/** Makes the parts. */
export function createSessionParts(options: SessionPartsOptions): SessionParts {
  const { port, clients, stored } = options;
  const journal = createSessionJournal((changes) => port.remember(changes));
  const earlier = createEarlierClock(port);
  const { clock } = earlier;
  const wills = createWillBook({
    ...{ clock, journal, stored },
    ownerOf: (client) => clients.frontOf(client)?.principal,
    publish: (will) => publishing.will(will),
    damaged: () => port.log.warn("a stored will is damaged and left out"),
  });
  const sessions = makeSessions(options, {
    ...{ clock, journal, stored, wills },
    again: (client, messageId, transfer) => publishing.again(client, messageId, transfer),
  });
  const restore = async (): Promise<void> => {
    await sessions.restore();
    earlier.end();
  };
  const publishing = createPublishing({ ...options, sessions, journal });
  /** A session that outlives its connection begins, goes on or is wiped before CONNACK says so. */
  const connected = (front: Front): Promise<void> | undefined => {
    const client = clients.clientOf(front.stream);
    if (client === undefined) return undefined;
    const expiry = clients.lastConnection.has(client) ? 0 : lastsFor(client);
    if (!client.clean) sessions.connected(client.id, { owner: front.principal, expiry });
    return client.clean && !sessions.hasWiped(client) ? undefined : journal.stored();
  };
  const storedOf = (front: Front): Promise<void> | undefined => {
    const client = clients.clientOf(front.stream);
    return client === undefined || client.clean ? undefined : journal.stored();
  };

  const durable: SessionParts["durable"] = (front) => ({
    connected: () => connected(front()),
    stored: () => storedOf(front()),
  });
  return { restore, journal, wills, sessions, publishing, durable };
}

function makeSessions(
  { port, counters, clients, losses, bounds }: SessionPartsOptions,
  {
    again,
    ...parts
  }: Pick<SessionStoreOptions, "clock" | "journal" | "stored" | "wills"> & Pick<Publishing, "again">,
): SessionStore {
  const retained = createRetainedSource({ port, clients, losses });
  const sessions: SessionStore = createSessionStore({
    ...{ ...parts, bounds },
    restored: ({ sessions: count, messages, damaged }) => {
      if (count > 0) port.log.info("MQTT sessions go on", { sessions: count, messages });
      if (damaged > 0) port.log.warn("stored records of MQTT sessions are damaged and left out", { damaged });
    },
    retained,
    repeated(client: AedesClient, messageId, transfer) {
      const front = clients.frontOf(client);
      if (front === undefined) return;
      if (transfer.verdict !== undefined) {
        front.settle(messageId, transfer.verdict);
        return;
      }
      transfer.waiting.add((verdict) => front.settle(messageId, verdict));
      again(client, messageId, transfer);
    },
    transferEnded: ({ id, token }, messageId) => port.release(`mqtt/${id}/${token}/${messageId}`),
    ended: ({ id }) => clients.interest?.drop(id),
    dropped: (reason) => counters.add("messagesDropped", reason),
    isRefused: (subscription) => clients.refusedSubscriptions.has(subscription),
    may: (owner, channel) => owner === undefined || port.may(owner, "subscribe", channel),
    connection: (client) => ({
      room: () => clients.frontOf(client)?.room() ?? Promise.resolve(),
      isOver: () => clients.frontOf(client)?.isOver() ?? true,
      expired(brokerCounter) {
        counters.add("messagesDropped", "expired");
        sessions.discard(client.id, brokerCounter, "expired");
      },
      drained: () => void clients.draining.delete(client),
    }),
  });
  return sessions;
}
