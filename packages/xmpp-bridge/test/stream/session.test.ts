import { createFakeClock, type FakeClock } from "@nomq/core/testing";
import { describe, expect, test } from "vitest";
import type { Connection } from "../../src/stream/connection.ts";
import { createSession, type Session } from "../../src/stream/session.ts";
import type { StreamEnd } from "../../src/stream/stream-end.ts";
import { createStreamManagement } from "../../src/stream/stream-management.ts";
import { parsed } from "../parsed.ts";

const SM = "xmlns='urn:xmpp:sm:3'";

/** A session over a connection that keeps what is written; `unsent`: bytes that the server has not taken. */
function session(unsent = 0): {
  readonly it: Session;
  readonly written: string[];
  readonly ends: StreamEnd[];
  readonly clock: FakeClock;
} {
  const clock = createFakeClock();
  const written: string[] = [];
  const ends: StreamEnd[] = [];
  const connection: Connection = {
    ...{ connect: () => Promise.resolve(), upgrade: () => Promise.resolve() },
    ...{ openStream: () => undefined, closeStream: () => undefined, unsent: () => unsent },
    write: (elements) => void written.push(...elements),
    destroy: (end) => void ends.push(end),
  };
  const management = createStreamManagement({ jid: "gw@h/r", id: "1" });
  const it = createSession({ jid: "gw@h/r", resumed: false, management, early: [] }, connection, {
    ...{
      clock,
      onOnline: () => undefined,
      onStanza: () => undefined,
      onAsk: () => undefined,
    },
    times: { answerMs: 1, askAfterMs: 1, deadAfterMs: 1, stanzaMs: 1, farewellMs: 1 },
  });
  return { it, written, ends, clock };
}

describe("a session", () => {
  test("XEP-0198: a server that acknowledges nothing is left before what is kept for it is too much", () => {
    const few = session();
    for (let count = 0; count < 5_000; count += 1) few.it.send(["<iq/>"]);
    expect(few.ends).toEqual([]);
    few.it.receive(parsed(`<a ${SM} h='4000'/>`));
    for (let count = 0; count < 4_000; count += 1) few.it.send(["<iq/>"]);
    expect(few.ends).toEqual([]);
    few.it.send(["<iq/>"]);
    expect(few.ends).toMatchObject([
      { is: "unreadable", reason: expect.stringMatching(/acknowledges nothing/) },
    ]);
  });

  test("XEP-0198: large stanzas are fewer, and those acknowledged are forgotten", () => {
    const { it, ends } = session();
    const large = "x".repeat(1_048_576);
    for (let count = 0; count < 64; count += 1) it.send([large]);
    expect(ends).toEqual([]);
    it.receive(parsed(`<a ${SM} h='64'/>`));
    for (let count = 0; count < 64; count += 1) it.send([large]);
    expect(ends).toEqual([]);
    it.send([large]);
    expect(ends).toHaveLength(1);
  });

  test("XEP-0198: questions that come together have one answer, and the count as it is then", async () => {
    const { clock, it, written } = session();
    for (let count = 0; count < 1_000; count += 1) it.receive(parsed(`<r ${SM}/>`));
    it.receive(parsed("<message/>"));
    await clock.advance(20);
    expect(written).toEqual([`<a ${SM} h='1'/>`]);
  });

  test("a server that takes nothing is not answered; what was asked for is sent all the same", async () => {
    const { clock, it, written } = session(2_000_000);
    it.receive(parsed(`<r ${SM}/>`));
    it.sendUnasked("<iq type='result'/>");
    await clock.advance(20);
    expect(written).toEqual([]);
    it.send(["<iq type='set'/>"]);
    expect(written).toEqual(["<iq type='set'/>"]);
  });

  test.each([["-1"], ["4294967296"], ["99999999999"], ["1e0"], ["x"], [""], ["2"]])(
    "XEP-0198: h=%j of one stanza sent ends it",
    (h) => {
      const { it, ends } = session();
      it.send(["<iq/>"]);
      it.receive(parsed(`<a ${SM} h='${h}'/>`));
      expect(ends).toMatchObject([{ is: "unreadable" }]);
    },
  );
});
