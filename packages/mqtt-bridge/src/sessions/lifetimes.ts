import type { CancelTimer, Clock } from "@nomq/core";
import type { Book } from "./book.ts";
import { runAt } from "./long-timer.ts";
import type { Session } from "./session.ts";

/** When sessions without a connection end (MQTT 5.0 section 3.1.2.11.2). */
export interface Lifetimes {
  /** The session has a connection, and lasts `expiry` seconds beyond it. */
  connected(session: Session): void;
  /** The connection is over: the session ends in `expiry` seconds. */
  disconnected(session: Session, expiry: number): void;
  /** A stored session goes on. */
  resume(session: Session): void;
  forget(session: Session): void;
  close(): void;
}

/** Makes it; nothing runs out after `close`. */
export function createLifetimes(clock: Clock, book: () => Pick<Book, "keep" | "end">): Lifetimes {
  const timers = new Map<Session, CancelTimer>();
  const forget = (session: Session): void => {
    timers.get(session)?.();
    timers.delete(session);
  };
  const resume = (session: Session): void => {
    forget(session);
    const { until } = session;
    if (until === undefined || until === Number.POSITIVE_INFINITY) return;
    timers.set(
      session,
      runAt(clock, until, () => {
        timers.delete(session);
        book().end(session.id, "session-expired");
      }),
    );
  };
  return {
    connected(session) {
      forget(session);
      session.until = undefined;
      book().keep(session);
    },
    disconnected(session, expiry) {
      session.expiry = expiry;
      session.until = clock.monotonic() + expiry * 1_000;
      book().keep(session);
      resume(session);
    },
    resume,
    forget,
    close() {
      for (const cancel of timers.values()) cancel();
      timers.clear();
    },
  };
}
