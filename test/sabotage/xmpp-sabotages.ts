import type { Sabotage } from "./sabotages.ts";
import type { Suite } from "./suites.ts";

const xmpp = (...files: string[]): Suite => ({ project: "xmpp-bridge", files });

const SRC = "packages/xmpp-bridge/src";

/** Promises of the XMPP bridge. */
export const XMPP: readonly Sabotage[] = [
  {
    name: "xmpp-downgrade-silently",
    breaks: "no password goes over a connection without TLS where TLS is required",
    file: `${SRC}/stream/tls-policy.ts`,
    find: '  if (offer === "none") return wanted ? "refuse" : "go-on";\n',
    replace: '  if (offer === "none") return "go-on";\n',
    suites: [xmpp("stream/tls-policy.test.ts", "link/logging-in.test.ts")],
  },
  {
    name: "xmpp-believe-any-answer",
    breaks: "an answer counts only from whom was asked: anybody may guess at ids",
    file: `${SRC}/link/requests.ts`,
    find: ' || !limits.isFrom(stanza.attrs["from"], tracked.to)) return undefined;\n',
    replace: ") return undefined;\n",
    suites: [xmpp("link/requests.test.ts")],
  },
  {
    name: "xmpp-forget-what-was-open",
    breaks: "what a lost session left unanswered is sent again in the next",
    file: `${SRC}/link/requests.ts`,
    find: "      lanes.again.unshift(...again);\n",
    replace: "",
    suites: [xmpp("link/requests.test.ts")],
  },
  {
    name: "xmpp-poison-for-ever",
    breaks: "a stanza that kills the stream is found and not sent for ever",
    file: `${SRC}/link/requests.ts`,
    find: "      for (const tracked of open.values()) tracked.suspect = true;\n",
    replace: "",
    suites: [xmpp("link/requests.test.ts")],
  },
  {
    name: "xmpp-overtake-on-retry",
    breaks: "what comes again on a channel takes all behind it along, so that the order stays",
    file: `${SRC}/publishing/lane.ts`,
    find: "      for (const call of [...open]) call.end(outcome);\n",
    replace: "      for (const call of [...open].slice(0, 1)) call.end(outcome);\n",
    suites: [xmpp("publishing/publisher.test.ts")],
  },
  {
    name: "xmpp-hear-impostors",
    breaks: "notifications count only from the configured service",
    file: `${SRC}/receiving/notification.ts`,
    find: '  if (message.attrs["from"]?.toLowerCase() !== service.toLowerCase()) return',
    replace: '  if (message.attrs["from"] === service.toUpperCase()) return',
    suites: [xmpp("receiving/notification.test.ts")],
  },
  {
    name: "xmpp-take-own-echoes",
    breaks: "what the gateway published does not come back to it as news",
    file: `${SRC}/receiving/intake.ts`,
    find: "    return mayBeOwn && (isTicketed || found.gateway === gateway);\n",
    replace: '    return gateway === "" && mayBeOwn && (isTicketed || found.gateway === gateway);\n',
    suites: [xmpp("receiving/prosody.test.ts")],
  },
  {
    name: "xmpp-believe-a-name",
    breaks: "an item with the gateway's name that is of another account is judged as that account's",
    file: `${SRC}/receiving/intake.ts`,
    find: "publisher === undefined || publisher === account();\n",
    replace: 'publisher === undefined || account() !== "";\n',
    suites: [xmpp("receiving/publishers.test.ts")],
  },
  {
    name: "xmpp-publish-for-the-service",
    breaks: "each publisher is held to its own rules where the service says who it was",
    file: `${SRC}/receiving/intake.ts`,
    find: "item.publisher === undefined ? service : principalOf(item.publisher);\n",
    replace: "item.publisher === undefined ? service : principalOf(pubsub);\n",
    suites: [xmpp("receiving/publishers.test.ts")],
  },
  {
    name: "xmpp-publish-where-others-let-in",
    breaks: "with members, nothing is published to a node that somebody else set up",
    file: `${SRC}/nodes/prepare-node.ts`,
    find: '  if (wish.access.members !== undefined) return { is: "failed", answer: NOT_OURS };\n',
    replace: '  if (wish.access.members?.includes("") === true) return { is: "failed", answer: NOT_OURS };\n',
    suites: [xmpp("bridge.test.ts", "nodes/prepare-node.test.ts")],
  },
  {
    name: "xmpp-take-the-expired",
    breaks: "an item whose time is over is no message: no server takes it away",
    file: `${SRC}/receiving/intake.ts`,
    find: 'isOver: lifetime.is === "over" });\n',
    replace: "isOver: false });\n",
    suites: [xmpp("receiving/prosody.test.ts")],
  },
  {
    name: "xmpp-lose-on-a-full-disk",
    breaks: "an item that comes while the store's disk is full is taken in once there is room",
    file: `${SRC}/receiving/inflow.ts`,
    find: '"store-failed", "store-full"]',
    replace: '"store-failed"]',
    suites: [xmpp("receiving/inflow.test.ts")],
  },
  {
    name: "xmpp-hide-the-gap",
    breaks: "what an outage pushed out of a node's history is counted",
    file: `${SRC}/receiving/joining.ts`,
    find: "  if (events.isGap) missed(place.node);\n",
    replace: "",
    suites: [{ project: "workspace", files: ["xmpp/faults.test.ts"] }],
  },
  {
    name: "xmpp-take-text-for-text",
    breaks: "bytes that XML would change are written in base64",
    file: `${SRC}/payload/xml-text.ts`,
    find: "    return NOT_IN_TEXT.test(text) ? undefined : text;\n",
    replace: "    return text;\n",
    suites: [xmpp("payload/item.test.ts")],
  },
];
