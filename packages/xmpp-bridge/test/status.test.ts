import { expect, test } from "vitest";
import { type StatusParts, statusOf } from "../src/status.ts";

const parts: StatusParts = {
  ...{ service: "xmpp://example.org:5222", pubsub: "pubsub.example.org", state: { is: "there" } },
  ...{ nodes: [], receiving: [], slow: undefined },
};
const waiting = { is: "waiting", reason: "no route", fatal: false, retryAt: 0, since: 0 } as const;

test.each<[string, Partial<StatusParts>, string, string | undefined]>([
  ["all is well", {}, "ready", undefined],
  [
    "the server is away",
    { state: { is: "offline", link: waiting } },
    "reconnecting",
    "xmpp://example.org:5222: no route",
  ],
  [
    "the password is wrong",
    { state: { is: "offline", link: { ...waiting, fatal: true, reason: "not-authorized" } } },
    "degraded",
    "xmpp://example.org:5222: not-authorized",
  ],
  [
    "no pubsub service is there",
    { state: { is: "absent", reason: "remote-server-not-found" } },
    "degraded",
    "pubsub service pubsub.example.org: remote-server-not-found (nobody there serves pubsub to this account: correct xmpp.pubsub, or start it)",
  ],
  [
    "nodes are forbidden",
    {
      nodes: [
        { node: "a", reason: "forbidden", since: 0 },
        { node: "b", reason: "forbidden", since: 0 },
      ],
    },
    "degraded",
    'node "a" and 1 more: forbidden',
  ],
  [
    "the server limits the rate",
    { slow: { answersPerSecond: 45, bytesPerSecond: 10_000 } },
    "degraded",
    "rate-limited, or short of power: the server takes 45 requests a second (docs/xmpp.md)",
  ],
])("%s", (_name, given, state, reason) => {
  expect(statusOf({ ...parts, ...given })).toEqual({ state, ...(reason === undefined ? {} : { reason }) });
});
