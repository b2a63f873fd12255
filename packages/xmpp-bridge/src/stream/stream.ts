import { type CancelTimer, type Clock, codeOf } from "@nomq/core";
import { type Connection, createConnection } from "./connection.ts";
import type { Element } from "./element.ts";
import type { IncomingLimits } from "./incoming.ts";
import { type Identity, type Negotiated, negotiate, STREAM_MANAGEMENT } from "./negotiate.ts";
import { type StreamEnd, StreamFailure } from "./stream-end.ts";
import type { Resumable, StreamManagement } from "./stream-management.ts";
import { tlsOptions } from "./tls-policy.ts";

/** How long each thing may take, milliseconds. */
export interface StreamTimes {
  /** To connect, and each answer while the stream is negotiated. Default 10,000. */
  readonly answerMs: number;
  /** Silence after which the server is asked for a sign of life. Default 5,000. */
  readonly askAfterMs: number;
  /** How long that may take. Default 10,000. */
  readonly deadAfterMs: number;
  /** How long a farewell may take. Default 1,000. */
  readonly farewellMs: number;
}

/** What one attempt needs. */
export interface StreamOptions {
  readonly who: Identity;
  readonly clock: Clock;
  readonly times: StreamTimes;
  /** The largest stanza the server may send, characters. */
  readonly maxStanza: number;
  /** Stanzas may be sent from now on. After a resumption what the server had not got is sent again already. */
  readonly onOnline: (session: { readonly jid: string; readonly resumed: boolean }) => void;
  /** Stanzas in order, once online. */
  readonly onStanza: (stanza: Element) => void;
  /** A sign of life is wanted, and the server has no stream management: ping it. */
  readonly onAsk: () => void;
  /** Once; `resumable`: another attempt may go on with it. */
  readonly onEnd: (end: StreamEnd, resumable: Resumable | undefined) => void;
}

/** One attempt: one connection, from its opening to its end. */
export interface Stream {
  /** Writes stanzas; only once online. */
  send(stanzas: readonly string[]): void;
  /** Says farewell and ends within {@link StreamTimes.farewellMs}. */
  close(): void;
  destroy(reason: StreamEnd): void;
}

/** Before anybody is known a stream needs no more than this. */
const MAX_BEFORE_ONLINE = 262_144;
/** Stanzas after which the server is asked what it has. */
const ASK_EVERY = 32;

/** Connects, negotiates and keeps watch. Nothing of it outlives its end. */
export function openStream(options: StreamOptions): Stream {
  const { who, clock, times } = options;
  const limits: IncomingLimits = { stanza: Math.min(MAX_BEFORE_ONLINE, options.maxStanza) };
  const queue = createQueue();
  let session: Session | undefined;
  let cancel: CancelTimer = () => undefined;
  const connection: Connection = createConnection({
    ...{ service: who.service, domain: who.domain, limits },
    tls: tlsOptions(who.domain, who.tls),
    // No letter takes more than three bytes for each unit that strings count.
    maxMessageBytes: options.maxStanza * 3,
    onData: () => session?.heard(),
    onElement: (element) => queue.push(element),
    onEnd(end) {
      cancel();
      session?.stop();
      queue.fail(new StreamFailure(end));
      // After an error of the stream the server has nothing left of it that would be worth going on with.
      const isKept = end.is === "closed" || end.is === "silent";
      // Before it is online the attempt leaves untouched what there was to resume.
      options.onEnd(
        end,
        session === undefined ? who.resume : isKept ? session.management?.resumable() : undefined,
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
    limits.stanza = options.maxStanza;
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

interface Session {
  readonly management: StreamManagement | undefined;
  begin(): void;
  send(stanzas: readonly string[]): void;
  receive(element: Element): void;
  heard(): void;
  farewell(): void;
  stop(): void;
}

function createSession(negotiated: Negotiated, connection: Connection, options: StreamOptions): Session {
  const { clock, times } = options;
  const { management } = negotiated;
  let heardAt = clock.monotonic();
  let isAsked = false;
  let cancel: CancelTimer = () => undefined;
  const ask = (): string => `<r xmlns='${STREAM_MANAGEMENT}'/>`;
  const acknowledgement = (): string =>
    `<a xmlns='${STREAM_MANAGEMENT}' h='${management?.received() ?? 0}'/>`;
  const watch = (): void => {
    const silence = clock.monotonic() - heardAt;
    const limit = isAsked ? times.askAfterMs + times.deadAfterMs : times.askAfterMs;
    if (silence >= limit) {
      if (isAsked) {
        connection.destroy({ is: "silent", reason: `nothing heard for ${Math.round(silence)} ms` });
        return;
      }
      isAsked = true;
      if (management === undefined) options.onAsk();
      else connection.write([ask()]);
    }
    const next = isAsked ? times.askAfterMs + times.deadAfterMs : times.askAfterMs;
    cancel = clock.after(Math.max(heardAt + next - clock.monotonic(), 1), watch);
  };
  const write = (stanzas: readonly string[]): void => {
    if (management === undefined) {
      connection.write(stanzas);
      return;
    }
    const before = management.open();
    for (const stanza of stanzas) management.sent(stanza);
    const isDue = Math.floor(before / ASK_EVERY) < Math.floor(management.open() / ASK_EVERY);
    connection.write(isDue ? [...stanzas, ask()] : stanzas);
  };
  return {
    management,
    begin() {
      cancel = clock.after(times.askAfterMs, watch);
      if (negotiated.resumed && management !== undefined) connection.write(management.unacknowledged());
      options.onOnline({ jid: negotiated.jid, resumed: negotiated.resumed });
    },
    send: write,
    receive(element) {
      if (element.getNS() === STREAM_MANAGEMENT) {
        if (element.getName() === "r") connection.write([acknowledgement()]);
        if (element.getName() === "a" && management?.acknowledge(element.attrs["h"]) === false)
          connection.destroy({ is: "unreadable", reason: "the server acknowledges what was not sent" });
        return;
      }
      if (!/^(iq|message|presence)$/.test(element.name)) return;
      management?.countReceived();
      options.onStanza(element);
    },
    heard() {
      heardAt = clock.monotonic();
      isAsked = false;
    },
    farewell() {
      if (management !== undefined) connection.write([acknowledgement()]);
      connection.closeStream();
    },
    stop: () => cancel(),
  };
}

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
