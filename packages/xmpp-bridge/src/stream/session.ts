import type { CancelTimer, Clock } from "@nomq/core";
import { createAcknowledging } from "./acknowledging.ts";
import type { Connection } from "./connection.ts";
import type { Element } from "./element.ts";
import { type Negotiated, STREAM_MANAGEMENT } from "./negotiate.ts";
import type { StreamEnd } from "./stream-end.ts";
import type { StreamManagement } from "./stream-management.ts";

/** How long each thing may take, milliseconds. */
export interface StreamTimes {
  /** To connect, and each answer while the stream is negotiated. Default 10,000. */
  readonly answerMs: number;
  /** Silence after which the server is asked for a sign of life. Default 5,000. */
  readonly askAfterMs: number;
  /** How long that may take. Default 10,000. */
  readonly deadAfterMs: number;
  /**
   * From the first byte of a stanza to its last. Default 120,000: the largest comes in that over a line of 1.2 Mbit/s. A
   * stanza that never ends would keep everything behind it waiting for ever.
   */
  readonly stanzaMs: number;
  /** How long a farewell may take. Default 1,000. */
  readonly farewellMs: number;
}

/** What a session needs besides its connection. */
export interface SessionUse {
  readonly clock: Clock;
  readonly times: StreamTimes;
  /** Stanzas may be sent from now on. After a resumption what the server had not got is sent again already. */
  readonly onOnline: (session: { readonly jid: string; readonly resumed: boolean }) => void;
  /** Stanzas in order, once online. */
  readonly onStanza: (stanza: Element) => void;
  /** A sign of life is wanted, and the server has no stream management: ping it. */
  readonly onAsk: () => void;
}

/** A stream that is online: counts stanzas, answers who counts ours, and looks whether the server lives. */
export interface Session {
  readonly management: StreamManagement | undefined;
  begin(): void;
  send(stanzas: readonly string[]): void;
  /** Sends what may be left out: where the server takes nothing, it is. */
  sendUnasked(stanza: string): void;
  receive(element: Element): void;
  /** `isOpen`: a stanza has begun that has not ended. */
  heard(isOpen: boolean): void;
  farewell(): void;
  stop(): void;
}

/** Stanzas after which the server is asked what it has. */
const ASK_EVERY = 32;
/** Bytes that wait for the server to take them: behind so many nothing more is answered. */
const MOST_UNSENT = 1_048_576;
/** Stanzas that the server has answered, it may be, but never acknowledged: each is kept. */
const MOST_UNACKNOWLEDGED = 5_000;
const MOST_UNACKNOWLEDGED_CHARACTERS = 67_108_864;

/** Makes it; nothing happens before `begin`. */
export function createSession(negotiated: Negotiated, connection: Connection, use: SessionUse): Session {
  const { clock, times } = use;
  const { management } = negotiated;
  let heardAt = clock.monotonic();
  let isAsked = false;
  /** When the stanza that is coming began. */
  let begunAt: number | undefined;
  let cancel: CancelTimer = () => undefined;
  const ask = (): string => `<r xmlns='${STREAM_MANAGEMENT}'/>`;
  const acknowledgement = (): string =>
    `<a xmlns='${STREAM_MANAGEMENT}' h='${management?.received() ?? 0}'/>`;
  const acknowledging = createAcknowledging(clock, () => connection.write([acknowledgement()]));
  const watch = (): void => {
    const silence = clock.monotonic() - heardAt;
    const limit = isAsked ? times.askAfterMs + times.deadAfterMs : times.askAfterMs;
    if (silence >= limit) {
      if (isAsked) {
        connection.destroy({ is: "silent", reason: `nothing heard for ${Math.round(silence)} ms` });
        return;
      }
      isAsked = true;
      if (management === undefined) use.onAsk();
      else connection.write([ask()]);
    }
    const next = isAsked ? times.askAfterMs + times.deadAfterMs : times.askAfterMs;
    cancel = clock.after(Math.max(heardAt + next - clock.monotonic(), 1), watch);
  };
  const send = (stanzas: readonly string[]): void => {
    if (management === undefined) {
      connection.write(stanzas);
      return;
    }
    const before = management.open();
    for (const stanza of stanzas) management.sent(stanza);
    if (
      management.open() > MOST_UNACKNOWLEDGED ||
      management.openCharacters() > MOST_UNACKNOWLEDGED_CHARACTERS
    ) {
      connection.destroy(UNACKNOWLEDGED);
      return;
    }
    const texts = [...stanzas];
    if (acknowledging.said()) texts.push(acknowledgement());
    if (Math.floor(before / ASK_EVERY) < Math.floor(management.open() / ASK_EVERY)) texts.push(ask());
    connection.write(texts);
  };
  return {
    management,
    begin() {
      cancel = clock.after(times.askAfterMs, watch);
      if (negotiated.resumed && management !== undefined) connection.write(management.unacknowledged());
      use.onOnline({ jid: negotiated.jid, resumed: negotiated.resumed });
    },
    send,
    sendUnasked(stanza) {
      if (connection.unsent() <= MOST_UNSENT) send([stanza]);
    },
    receive(element) {
      begunAt = undefined;
      if (element.getNS() === STREAM_MANAGEMENT) {
        // Never where the server takes nothing.
        if (element.getName() === "r" && connection.unsent() <= MOST_UNSENT) acknowledging.asked();
        if (element.getName() === "a" && management?.acknowledge(element.attrs["h"]) === false)
          connection.destroy({ is: "unreadable", reason: "the server acknowledges what was not sent" });
        return;
      }
      if (!/^(iq|message|presence)$/.test(element.name)) return;
      management?.countReceived();
      use.onStanza(element);
    },
    heard(isOpen) {
      heardAt = clock.monotonic();
      isAsked = false;
      begunAt = isOpen ? (begunAt ?? heardAt) : undefined;
      if (begunAt !== undefined && heardAt - begunAt >= times.stanzaMs)
        connection.destroy({ is: "silent", reason: `a stanza was not whole in ${times.stanzaMs} ms` });
    },
    farewell() {
      acknowledging.said();
      if (management !== undefined) connection.write([acknowledgement()]);
      connection.closeStream();
    },
    stop() {
      acknowledging.said();
      cancel();
    },
  };
}

const UNACKNOWLEDGED: StreamEnd = {
  is: "unreadable",
  reason: "the server acknowledges nothing of what it is sent",
};
