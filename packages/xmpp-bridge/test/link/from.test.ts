import { expect, test } from "vitest";
import { isFromOf } from "../../src/link/from.ts";

const own = { jid: "gw@localhost/nomq-1", domain: "localhost" };

test.each([
  ["pubsub.localhost", "pubsub.localhost", true],
  ["PubSub.localhost", "pubsub.localhost", true],
  ["mallory@localhost/x", "pubsub.localhost", false],
  [undefined, "pubsub.localhost", false],
  ["bob@localhost/A", "bob@localhost/a", false],
  // RFC 6120 section 8.1.2.1: who names nobody asks its own account, and the server answers for it.
  [undefined, undefined, true],
  ["gw@localhost", undefined, true],
  ["gw@localhost/nomq-1", undefined, true],
  ["localhost", undefined, true],
  [undefined, "localhost", true],
  ["pubsub.localhost", undefined, false],
])("an answer from %s to a request to %s: %s", (from, to, is) => {
  expect(isFromOf({ ...own, from, to })).toBe(is);
});
