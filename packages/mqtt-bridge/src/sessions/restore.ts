import type { Clock, Principal } from "@nomq/core";
import type { Bodies, Body } from "./body.ts";
import type { Book, StoredSession } from "./book.ts";
import type { Entry } from "./entry.ts";
import type { JournalRecord, SessionJournal } from "./journal.ts";
import type { SessionLedger } from "./ledger.ts";
import type { Lifetimes } from "./lifetimes.ts";
import type { Session, StoredSubscription } from "./session.ts";
import { numbersOf } from "./stored-key.ts";
import type { Stored, StoredState } from "./stored-state.ts";
import { unsealed } from "./stored-value.ts";

/** Where what was stored goes. */
export interface RestoreUse {
  readonly clock: Clock;
  readonly journal: Pick<SessionJournal, "note">;
  readonly bodies: Bodies;
  readonly book: Book;
  readonly lifetimes: Lifetimes;
  readonly ledger: Pick<SessionLedger, "settle">;
  /** Seconds that a session may outlive its connection by. */
  readonly expiry: number;
}

/** What could not be used. */
export interface Restored {
  readonly sessions: number;
  readonly messages: number;
  /** Records that are not what was written; they stay where they are. */
  readonly damaged: number;
}

/** Records put back before other callbacks get their turn. */
const AT_ONCE = 512;

/** Puts back the sessions as they were stored; what belongs to none that is there is removed from the store. */
export async function restoreSessions(state: StoredState, use: RestoreUse): Promise<Restored> {
  const byNumber = new Map<number, Session>();
  const bodies = new Map<number, Body>();
  let damaged = 0;
  let messages = 0;
  /** Whether the record's session is there; a record of none goes. */
  const ownerOf = (key: Uint8Array): Session | undefined => {
    const session = byNumber.get(numbersOf(key)[0]);
    if (session === undefined) use.journal.note(gone(key));
    return session;
  };
  const each = async (
    kind: Parameters<StoredState["of"]>[0],
    take: (stored: Stored) => boolean,
  ): Promise<void> => {
    for (const [at, stored] of state.take(kind).entries()) {
      if (!take(stored)) damaged += 1;
      if (at % AT_ONCE === AT_ONCE - 1) await new Promise((resolve) => setImmediate(resolve));
    }
  };

  await each("session", ([key, value]) => {
    const session = sessionFrom(key, value, use);
    if (session !== undefined) byNumber.set(session.number, session);
    return session !== undefined;
  });
  await each("subscription", ([key, value]) => {
    const session = ownerOf(key);
    if (session === undefined) return true;
    const stored = unsealed(key, value)?.head;
    // The checksum vouches that this is what was written.
    const subscription = stored as Omit<StoredSubscription, "clientId"> | undefined;
    if (subscription !== undefined)
      use.book.subscribe(session, { clientId: session.id, ...subscription }, true);
    return subscription !== undefined;
  });
  await each("transfer", ([key, value]) => {
    const session = ownerOf(key);
    if (session === undefined) return true;
    const stored = unsealed(key, value);
    if (stored === undefined) return false;
    const [, messageId] = numbersOf(key);
    // As above.
    const { code, message } = stored.head as { readonly code: number; readonly message?: string };
    use.book.beginTransfer(session, messageId);
    use.book.storeTransfer(session, { messageId, verdict: { code }, message, isStored: true });
    const transfer = session.transfers.get(messageId);
    if (transfer !== undefined && message === undefined) transfer.verdict = { code };
    else if (transfer !== undefined) transfer.message = message;
    return true;
  });
  await each("body", ([key, value]) => {
    const body = use.bodies.restore(key, value, numbersOf(key)[0]);
    if (body !== undefined) bodies.set(body.number, body);
    return body !== undefined;
  });
  await each("entry", ([key, value]) => {
    const session = ownerOf(key);
    if (session === undefined) {
      use.ledger.settle({ dropped: "session-ended" });
      return true;
    }
    const [, order] = numbersOf(key);
    const entry = session.queue.restore(key, value, { order, bodyOf: (number) => bodies.get(number) });
    if (entry === undefined) {
      use.ledger.settle({ dropped: "damaged" });
      use.journal.note(gone(key));
      return false;
    }
    messages += 1;
    if (entry.body?.message !== undefined) session.restored.add(entry.body.message);
    if (isExpired(entry, use.clock)) session.queue.discard(entry.body?.packet.brokerCounter, "expired");
    return true;
  });
  use.bodies.sweep();
  for (const session of byNumber.values()) goOn(session, use);
  return { sessions: byNumber.size, messages, damaged };
}

function sessionFrom(key: Uint8Array, value: Uint8Array, use: RestoreUse): Session | undefined {
  // The checksum vouches that this is what was written.
  const stored = unsealed(key, value)?.head as (StoredSession & { readonly owner?: Principal }) | undefined;
  if (stored === undefined) return undefined;
  const { id, token, owner, expiry = Number.POSITIVE_INFINITY, until } = stored;
  const session = use.book.restore({ id, token, number: numbersOf(key)[0] });
  session.owner = owner;
  session.expiry = Math.min(expiry, use.expiry);
  if (until !== undefined) session.until = use.clock.monotonic() + until - use.clock.now();
  return session;
}

/** A session goes on towards its end; one that was connected when the process ended has lost its connection now. */
function goOn(session: Session, { book, clock, lifetimes }: RestoreUse): void {
  if (session.until === undefined) lifetimes.disconnected(session, session.expiry);
  if ((session.until ?? Number.POSITIVE_INFINITY) <= clock.monotonic())
    book.end(session.id, "session-expired");
  else lifetimes.resume(session);
}

function isExpired({ packet }: Entry, clock: Clock): boolean {
  if (packet.cmd !== "publish" || packet.messageExpiry === undefined) return false;
  return packet.messageExpiry <= clock.monotonic();
}

/** The end of what is of no use. */
function gone(key: Uint8Array): JournalRecord {
  return { key, isWritten: true, value: () => undefined };
}
