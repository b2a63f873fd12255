import { expect, test } from "vitest";
import { answerOf } from "../../src/link/answer.ts";
import { parsed } from "../parsed.ts";

const STANZAS = "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'";
const answer = (error: string): unknown =>
  answerOf(parsed(`<iq xmlns='jabber:client' type='error' id='1'>${error}</iq>`));

test("XEP-0060: an error says its kind, its condition, pubsub's own and the text", () => {
  // As ejabberd 23.01 answers a form with a field that it does not know.
  expect(
    answer(
      `<error code='500' type='wait'><resource-constraint ${STANZAS}/><text xml:lang='en' ${STANZAS}>Unknown field 'a'</text></error>`,
    ),
  ).toEqual({ is: "error", type: "wait", condition: "resource-constraint", text: "Unknown field 'a'" });
  // As Prosody 0.12 answers publish-options that are not the node's.
  expect(
    answer(
      `<error type='cancel'><conflict ${STANZAS}/><precondition-not-met xmlns='http://jabber.org/protocol/pubsub#errors'/></error>`,
    ),
  ).toEqual({ is: "error", type: "cancel", condition: "conflict", pubsub: "precondition-not-met" });
});

test("the pubsub condition may come first", () => {
  expect(
    answer(
      `<error type='modify'><nodeid-required xmlns='http://jabber.org/protocol/pubsub#errors'/><bad-request ${STANZAS}/></error>`,
    ),
  ).toEqual({ is: "error", type: "modify", condition: "bad-request", pubsub: "nodeid-required" });
});

test("an error that says nothing, or nonsense, is final", () => {
  const final = { is: "error", type: "cancel", condition: "undefined-condition" };
  expect(answer("")).toEqual(final);
  expect(answer("<error type='perhaps'><x xmlns='urn:x'/></error>")).toEqual(final);
});

test("a server's text is one line and no longer than a line", () => {
  const text = `a\n  b${"c".repeat(10_000)}`;
  expect(
    answer(`<error type='wait'><gone ${STANZAS}/><text ${STANZAS}>${text}</text></error>`),
  ).toMatchObject({
    text: expect.stringMatching(/^a bc{197}$/),
  });
});
