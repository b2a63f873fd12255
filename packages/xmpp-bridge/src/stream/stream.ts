import { type CancelTimer, codeOf } from "@nomq/core";
import { type Connection, createConnection } from "./connection.ts";
import type { Element } from "./element.ts";
import type { IncomingLimits } from "./kept-text.ts";
import { type Identity, negotiate } from "./negotiate.ts";
import { createSession, type Session, type SessionUse } from "./session.ts";
import { type StreamEnd, StreamFailure } from "./stream-end.ts";
import type { Resumable } from "./stream-management.ts";
import { tlsOptions } from "./tls-policy.ts";

/** What one attempt needs. */
export interface StreamOptions extends SessionUse {
  readonly who: Identity;
  /** The largest stanza the server may send, characters. */
  readonly maxStanza: number;
  /** Once; `resumable`: another attempt may go on with it. */
  readonly onEnd: (end: StreamEnd, resumable: Resumable | undefined) => void;
}

/** One attempt: one connection, from its opening to its end. */
export interface Stream {
  /** Writes stanzas; only once online. */
  send(stanzas: readonly string[]): void;
  /** As `send`, what may be left out: where the server takes nothing, it is. */
  sendUnasked(stanza: string): void;
  /** Says farewell and ends within {@link StreamTimes}'s `farewellMs`. */
  close(): void;
  destroy(reason: StreamEnd): void;
}

/** Before anybody is known a stream needs no more than this, and no more than that altogether. */
const MAX_BEFORE_ONLINE = 262_144;
const MAX_TOTAL_BEFORE_ONLINE = 4 * MAX_BEFORE_ONLINE;
/** A server may take its time for each answer, but not for one after the other without end. */
const MOST_ANSWER_TIMES = 6;

/** Connects, negotiates and keeps watch. Nothing of it outlives its end. */
export function openStream(options: StreamOptions): Stream {
  const { who, clock, times } = options;
  const limits: IncomingLimits = {
    stanza: Math.min(MAX_BEFORE_ONLINE, options.maxStanza),
    total: MAX_TOTAL_BEFORE_ONLINE,
  };
  const queue = createQueue();
  let session: Session | undefined;
  let cancel: CancelTimer = () => undefined;
  let cancelLogin: CancelTimer = () => undefined;
  const connection: Connection = createConnection({
    ...{ service: who.service, domain: who.domain, limits },
    tls: tlsOptions(who.domain, who.tls),
    // No letter takes more than three bytes for each unit that strings count.
    maxMessageBytes: options.maxStanza * 3,
    onData: (isOpen) => session?.heard(isOpen),
    onElement: (element) => queue.push(element),
    onEnd(end) {
      cancel();
      cancelLogin();
      session?.stop();
      queue.fail(new StreamFailure(end));
      // After an error of the stream the server has nothing left of it that would be worth going on with.
      const isKept = end.is === "closed" || end.is === "silent";
      // Before it is online the attempt leaves untouched what there was to resume, unless that could not be read.
      const before = end.is === "unreadable" ? undefined : who.resume;
      options.onEnd(
        end,
        session === undefined ? before : isKept ? session.management?.resumable() : undefined,
      );
    },
  });
  const within = async <T>(what: string, doing: Promise<T>): Promise<T> => {
    const silent: StreamEnd = { is: "silent", reason: `no answer in ${times.answerMs} ms: ${what}` };
    cancel = clock.after(times.answerMs, () => connection.destroy(silent));
    try {
      return await doing;
    } finally {
      cancel();
    }
  };
  const run = async (): Promise<void> => {
    const most = MOST_ANSWER_TIMES * times.answerMs;
    const slow: StreamEnd = { is: "silent", reason: `not logged in after ${most} ms` };
    cancelLogin = clock.after(most, () => connection.destroy(slow));
    await within("connecting", connection.connect());
    const negotiated = await negotiate(
      {
        openStream() {
          queue.mustBeEmpty();
          connection.openStream();
        },
        async upgrade() {
          queue.mustBeEmpty();
          await within("TLS", connection.upgrade());
        },
        send: (element) => connection.write([element]),
        next: () => within("negotiating", queue.next()),
      },
      who,
    );
    cancelLogin();
    limits.stanza = options.maxStanza;
    delete limits.total;
    session = createSession(negotiated, connection, options);
    session.begin();
    for (const stanza of negotiated.early) options.onStanza(stanza);
    queue.flow(session.receive);
  };
  void run().catch((error: unknown) => {
    if (error instanceof StreamFailure) connection.destroy(error.end);
    else connection.destroy({ is: "unreadable", reason: `negotiation failed: ${codeOf(error)}` });
  });
  return {
    send: (stanzas) => session?.send(stanzas),
    sendUnasked: (stanza) => session?.sendUnasked(stanza),
    close() {
      if (session === undefined) {
        connection.destroy(STOPPED);
        return;
      }
      session.farewell();
      cancel();
      cancel = clock.after(times.farewellMs, () => connection.destroy(STOPPED));
    },
    destroy: connection.destroy,
  };
}

const STOPPED: StreamEnd = { is: "stopped", reason: "stopped" };

interface Queue {
  push(element: Element): void;
  next(): Promise<Element>;
  fail(why: StreamFailure): void;
  /** Throws otherwise: what came in clear, or before anybody was known, must not stand for what comes after. */
  mustBeEmpty(): void;
  /** Hands over what waits, and from then on everything at once. */
  flow(receive: (element: Element) => void): void;
}

function createQueue(): Queue {
  const waiting: Element[] = [];
  let asked: PromiseWithResolvers<Element> | undefined;
  let flowing: ((element: Element) => void) | undefined;
  let failure: StreamFailure | undefined;
  return {
    push(element) {
      if (flowing !== undefined) flowing(element);
      else if (asked === undefined) waiting.push(element);
      else {
        asked.resolve(element);
        asked = undefined;
      }
    },
    next() {
      const first = waiting.shift();
      if (first !== undefined) return Promise.resolve(first);
      if (failure !== undefined) return Promise.reject(failure);
      asked = Promise.withResolvers<Element>();
      return asked.promise;
    },
    fail(why) {
      failure = why;
      asked?.reject(why);
      asked = undefined;
    },
    mustBeEmpty() {
      if (waiting.length === 0) return;
      throw new StreamFailure({ is: "unreadable", reason: "the server sent what was not its turn" });
    },
    flow(receive) {
      flowing = receive;
      for (const element of waiting.splice(0)) if (failure === undefined) receive(element);
    },
  };
}
