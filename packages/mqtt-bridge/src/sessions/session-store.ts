import type { Principal } from "@nomq/core";
import type { SessionBounds } from "../session-limits.ts";
import type { Body } from "./body.ts";
import { createBodies } from "./body.ts";
import { createBook, type StoredTransfer } from "./book.ts";
import type { SessionJournal } from "./journal.ts";
import type { SessionLedgerRow, StoredLedger } from "./ledger.ts";
import { createSessionLedger } from "./ledger.ts";
import { createLifetimes } from "./lifetimes.ts";
import { watchSteps } from "./long-timer.ts";
import { type Parts, type PersistenceOptions, persistenceOf } from "./persistence.ts";
import type { Restored } from "./restore.ts";
import { restoreSessions } from "./restore.ts";
import { createRoom } from "./room.ts";
import type { QueuedPublish, Session } from "./session.ts";
import type { StoredState } from "./stored-state.ts";
import { unsealed } from "./stored-value.ts";
import type { WillBook } from "./wills.ts";

/** The sessions of the embedded broker, in memory, behind the interface aedes asks of a persistence. */
export interface SessionStore {
  /** Puts back the sessions that were stored, a few at a time: before all else. */
  restore(): Promise<void>;
  has(clientId: string): boolean;
  /** Sessions that last. */
  count(): number;
  session(clientId: string): Session;
  find(clientId: string): Session | undefined;
  /** Every session that lasts, with its filters. */
  filters(): Iterable<readonly [clientId: string, filters: readonly string[]]>;
  /** Whether this connection has begun by ending a session that lasted. */
  hasWiped(client: object): boolean;
  /** The client is connected, its session outlives the connection by `expiry` seconds. */
  connected(
    clientId: string,
    given: { readonly owner: Principal | undefined; readonly expiry: number },
  ): void;
  /** It is no longer: the session ends in `expiry` seconds. */
  disconnected(clientId: string, expiry: number): void;
  /** The session ends: all of it goes. */
  end(clientId: string): void;
  beginTransfer(session: Session, messageId: number): void;
  /** The transfer's message is with everyone who must get it. */
  storeTransfer(session: Session, transfer: StoredTransfer): void;
  /** The transfer was refused. */
  dropTransfer(session: Session, messageId: number): void;
  /** A retained message has been sent to the client under an id. */
  adopt(clientId: string, packet: QueuedPublish, messageId: number): void;
  /** What the client will not be sent. */
  discard(clientId: string, brokerCounter: number | undefined, reason: string): void;
  /** Runs what publishes one message, which has this name at the hub. */
  naming<T>(message: string, run: () => T): T;
  /** How many subscriptions of sessions the last publish at QoS 1 or 2 matched. */
  reached(): number;
  ledger(): SessionLedgerRow;
  /** Ends its timers. */
  close(): void;
  /** What aedes calls. */
  readonly persistence: object;
}

/** What the sessions need of the broker around them. */
export interface SessionStoreOptions extends PersistenceOptions {
  readonly journal: SessionJournal;
  /** What an earlier run has left. */
  readonly stored: StoredState;
  readonly wills: WillBook;
  readonly bounds: Pick<SessionBounds, "all" | "each" | "expiry">;
  restored(what: Restored): void;
  /** A QoS 2 transfer of the session is over. */
  transferEnded(session: Session, messageId: number): void;
  ended(session: Session): void;
  dropped(reason: string): void;
}

/** Dropped at once where an earlier run had wider bounds. */
const TRIMMED = 1_000;

/** Makes an empty store. */
export function createSessionStore(options: SessionStoreOptions): SessionStore {
  const { clock, journal, stored, bounds } = options;
  const room = createRoom(bounds.all);
  let naming: string | undefined;
  const nextCounter = (): number => {
    parts.counter += 1;
    return parts.counter;
  };
  const bodies = createBodies({ clock, journal, room, nextCounter });
  const lifetimes = createLifetimes(clock, () => book);
  const ledger = createSessionLedger(journal, ledgerIn(stored), stored.of("entry").length);
  const ended = (session: Session): void => {
    lifetimes.forget(session);
    options.ended(session);
  };
  const book = createBook({ ...options, bodies, ledger, ended, room, each: bounds.each });
  const bodyOf = (packet: QueuedPublish): Body => bodies.make(packet, naming);
  const parts: Parts = { book, options, bodyOf, reached: 0, counter: 0, wipers: new WeakSet() };
  const unwatch = watchSteps(clock, () => {
    bodies.rebase();
    options.wills.rebase();
    for (const session of book.sessions.values()) if (session.until !== undefined) book.keep(session);
  });

  return {
    async restore() {
      const use = { clock, journal, bodies, book, lifetimes, ledger, expiry: bounds.expiry };
      options.restored(await restoreSessions(stored, use));
      while (room.trim(TRIMMED)) await new Promise((resolve) => setImmediate(resolve));
    },
    has: (id) => book.sessions.get(id)?.persistent === true,
    count: book.lasting,
    session: book.session,
    find: (id) => book.sessions.get(id),
    *filters() {
      for (const { id, persistent, subscriptions } of book.sessions.values())
        if (persistent) yield [id, [...subscriptions.keys()]];
    },
    hasWiped: (client) => parts.wipers.has(client),
    connected(id, { owner, expiry }) {
      const session = book.session(id);
      session.owner = owner;
      session.expiry = expiry;
      lifetimes.connected(session);
    },
    disconnected(id, expiry) {
      const session = book.sessions.get(id);
      if (session?.persistent === true) lifetimes.disconnected(session, expiry);
    },
    end: (id) => book.end(id, "session-ended"),
    beginTransfer: book.beginTransfer,
    storeTransfer: book.storeTransfer,
    dropTransfer: (session, messageId) => void book.endTransfer(session, messageId),
    adopt: (id, packet, messageId) => book.session(id).queue.adopt(packet, messageId, () => bodyOf(packet)),
    discard: (id, counter, reason) =>
      book.sessions.get(id)?.queue.discard(counter, reason === "expired" ? reason : { dropped: reason }),
    naming(message, run) {
      naming = message;
      try {
        return run();
      } finally {
        naming = undefined;
      }
    },
    reached: () => parts.reached,
    ledger: () => ledger.row(),
    close() {
      lifetimes.close();
      unwatch();
    },
    persistence: persistenceOf(parts),
  };
}

/** The counts of earlier runs. */
function ledgerIn(stored: StoredState): StoredLedger | undefined {
  const [record] = stored.of("ledger");
  // The checksum vouches that this is what was written.
  return record && (unsealed(...record)?.head as StoredLedger | undefined);
}
