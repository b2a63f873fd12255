import { COAP } from "./coap-sabotages.ts";
import type { Suite } from "./suites.ts";
import { XMPP } from "./xmpp-sabotages.ts";

/** One promise broken in one place, and the suites that must notice. */
export interface Sabotage {
  readonly name: string;
  /** What no longer holds. */
  readonly breaks: string;
  /** Relative to the repository. */
  readonly file: string;
  /** Stands exactly once in the file. */
  readonly find: string;
  readonly replace: string;
  readonly suites: readonly Suite[];
}

const core = (...files: string[]): Suite => ({ project: "nomq-core", files });
const mqtt = (...files: string[]): Suite => ({ project: "mqtt-bridge", files });
const gateway = (...files: string[]): Suite => ({ project: "gateway", files });

const HUB = "packages/nomq-core/src/hub";
const NOMQ = "packages/nomq-core/src/nomq-bridge";
const STORE = "packages/gateway/src/store";

/** What may not be acknowledged, lost or done twice. */
const DELIVERY: readonly Sabotage[] = [
  {
    name: "ack-before-store-mqtt",
    breaks: "a PUBACK waits for the store",
    file: "packages/mqtt-bridge/src/messages/ingress.ts",
    find: 'until: isQuick ? "accepted" : "stored",',
    replace: 'until: "accepted",',
    suites: [mqtt("contract.test.ts")],
  },
  {
    name: "ack-before-session",
    breaks: "a PUBACK waits for the sessions that get the message to be stored",
    file: "packages/mqtt-bridge/src/messages/publishing.ts",
    find: "    if (isStored) await options.journal.stored();\n",
    replace: "    if (isStored) void options.journal.stored();\n",
    suites: [mqtt("kept-sessions.test.ts")],
  },
  {
    name: "ack-before-store-nomq",
    breaks: "a NoMQ ACK waits for the store",
    file: `${NOMQ}/inbound.ts`,
    find: "{ until: ack, signal: deadline?.signal }",
    replace: '{ until: "accepted", signal: deadline?.signal }',
    suites: [core("nomq-bridge/nomq-bridge.test.ts", "nomq-bridge/contract.test.ts")],
  },
  {
    name: "stored-before-commit",
    breaks: "a receipt says stored only once the commit has landed",
    file: `${HUB}/publication.ts`,
    find: "    this.record.accepted();\n",
    replace: "    this.record.accepted();\n    this.record.stored();\n",
    suites: [core("hub/receipts.test.ts", "bridge-contract.test.ts", "hub-oracle.test.ts")],
  },
  {
    name: "drop-the-outbox",
    breaks: "what waits for a durable peer outlasts a restart",
    file: `${HUB}/publication.ts`,
    find: "      to.push(place.name);\n",
    replace: "",
    suites: [core("hub/life.test.ts", "hub/start.test.ts", "hub-oracle.test.ts")],
  },
  {
    name: "rows-not-written",
    breaks: "the store on disk keeps a row for each durable attachment",
    file: `${STORE}/writing/apply.ts`,
    find: "this.batch.put(key, writeRow(key, { bytes, attempt: 0 }));",
    replace: "",
    suites: [gateway("store/contract.test.ts", "store/kill.test.ts")],
  },
  {
    name: "no-interest-before-ingress",
    breaks: "durable interest is in force before a listener opens",
    file: `${HUB}/open.ts`,
    find: "  for (const filter of stored.filters) addFilter(core, place, filter);\n",
    replace: "",
    suites: [core("hub/start.test.ts", "hub-oracle.test.ts")],
  },
  {
    name: "forget-once",
    breaks: "the same transfer is routed once",
    file: `${HUB}/once.ts`,
    find: "    return this.byKey.get(key);\n  }\n\n  begin",
    replace: "    return undefined;\n  }\n\n  begin",
    suites: [core("hub/dedup.test.ts", "hub-oracle.test.ts")],
  },
  {
    name: "forget-once-over-restarts",
    breaks: "a transfer is known again after a restart",
    file: `${HUB}/open.ts`,
    find: '  for (const [key, id] of opened.once) core.once.begin(key, { scope: "", now, id });\n',
    replace: "",
    suites: [core("hub/dedup.test.ts", "hub-oracle.test.ts")],
  },
  {
    name: "attempt-not-committed",
    breaks: "a QoS 2 attempt is committed before the call, so that it is exact over a crash",
    file: `${HUB}/delivery.ts`,
    find: "entry.marked <= entry.attempt)",
    replace: "entry.marked < -1)",
    suites: [core("hub-oracle.test.ts")],
  },
  {
    name: "facts-lost-with-a-commit",
    breaks: "outcomes of a failed commit are written with the next",
    file: `${HUB}/writer.ts`,
    find: "      else this.facts.push(write);\n",
    replace: "",
    suites: [core("hub-oracle.test.ts", "hub/life.test.ts")],
  },
  {
    name: "count-in-another-commit",
    breaks: "an outcome, its row and its count are one commit: the ledger balances over a crash",
    file: `${STORE}/writing/apply.ts`,
    find: "    settle(attachment, write);\n",
    replace: "",
    suites: [gateway("store/contract.test.ts", "store/kill.test.ts")],
  },
  {
    name: "deliver-to-origin",
    breaks: "a message never returns to the attachment it came from",
    file: `${HUB}/admission.ts`,
    find: " || place === source ||",
    replace: " ||",
    suites: [core("hub-oracle.test.ts", "hub/order.test.ts")],
  },
  {
    name: "drop-silently",
    breaks: "what a full outbox drops is counted and in its receipt",
    file: `${HUB}/enter.ts`,
    find: "  place.counts.settle(is, reason);\n",
    replace: '  if (is !== "dropped") place.counts.settle(is, reason);\n',
    suites: [core("hub/admission.test.ts", "hub-oracle.test.ts")],
  },
];

/** What must end in time, and what must not come back. */
const STATE: readonly Sabotage[] = [
  {
    name: "ignore-expiry",
    breaks: "a message that has expired is not delivered",
    file: `${HUB}/open.ts`,
    find: "  if (entry.deadline !== Number.POSITIVE_INFINITY && entry.deadline <= core.time.monotonic())\n",
    replace: "  if (entry.deadline === Number.NEGATIVE_INFINITY)\n",
    suites: [core("hub/expiry.test.ts", "hub-oracle.test.ts")],
  },
  {
    name: "retained-never-expires",
    breaks: "retained values expire too",
    file: `${HUB}/time.ts`,
    find: "    return (this.expiresAt(message) ?? now) <= now;\n",
    replace: "    return (this.expiresAt(message) ?? now) <= now - 1e12;\n",
    suites: [core("hub/expiry.test.ts", "hub/retained.test.ts")],
  },
  {
    name: "expiry-not-sent-on",
    breaks: "the time that is left goes out with the message",
    file: "packages/mqtt-bridge/src/messages/forwarding.ts",
    find: "messageExpiryInterval: secondsLeft(msLeft)",
    replace: "messageExpiryInterval: 3600",
    suites: [mqtt("slow-reader.test.ts", "mapping.test.ts", "sessions.test.ts")],
  },
  {
    name: "forget-tombstones",
    breaks: "a peer that was away is told what was cleared meanwhile",
    file: `${STORE}/writing/apply.ts`,
    find: "    this.batch.put(key, writeMessage(key, { ...message, payload: new Uint8Array() }));\n",
    replace: "",
    suites: [gateway("store/contract.test.ts", "store/hub-oracle.test.ts")],
  },
  {
    name: "retained-survives-its-clearing",
    breaks: "a cleared retained value is gone",
    file: `${STORE}/writing/apply.ts`,
    find: "    this.batch.del(retainedKey(message.channel));\n",
    replace: "",
    suites: [gateway("store/contract.test.ts", "store/like-memory.test.ts")],
  },
  {
    name: "slow-peer-holds-all",
    breaks: "an outbox is bounded: a slow peer costs no more than its limit",
    file: `${HUB}/outbox.ts`,
    find: "    if (this.messages + this.reserved + 1 > this.limits.messages) return false;\n",
    replace: "",
    suites: [core("hub/admission.test.ts")],
  },
];

/** Who may do what, and who is who. */
const SECURITY: readonly Sabotage[] = [
  {
    name: "skip-the-mac",
    breaks: "a packet that no key has signed is dropped",
    file: "packages/nomq-core/src/packet/decode.ts",
    find: "    if (!timingSafeEqual(candidate.macs[dialect](datagram, HEADER_BYTES + length), mac)) continue;\n",
    replace:
      "    candidate.macs[dialect](datagram, HEADER_BYTES + length);\n    timingSafeEqual(mac, mac);\n",
    suites: [core("packet/decode.test.ts", "node/attacks.test.ts")],
  },
  {
    name: "forget-the-replay-window",
    breaks: "a datagram recorded before a restart is taken by nobody after it",
    file: "packages/nomq-core/src/node/node.ts",
    find: "    windows.restore(records, time.seconds(), ",
    replace: "    windows.restore([], time.seconds(), ",
    suites: [core("nomq-bridge/restart.test.ts", "node/journal.test.ts")],
  },
  {
    name: "skip-access-on-retained",
    breaks: "rights are asked for at retained values too",
    file: `${HUB}/port.ts`,
    find: '      if (!core.access.may(as, "subscribe", found.channel)) continue;\n',
    replace: "",
    suites: [core("hub/retained.test.ts")],
  },
  {
    name: "skip-access-on-delivery",
    breaks: "rights are asked for at each delivery",
    file: `${HUB}/open.ts`,
    find: 'return access === allowAll || place.as === "*" || access.may(place.as, "subscribe", channel);',
    replace: 'return access === allowAll || place.as !== "" || access.may(place.as, "subscribe", channel);',
    suites: [core("hub/revocation.test.ts", "hub/retained.test.ts")],
  },
  {
    name: "skip-access-on-publish",
    breaks: "who may not publish is refused",
    file: `${HUB}/publish.ts`,
    find: 'if (!core.access.may(call.from, "publish", channel)) return "access";',
    replace: "",
    suites: [
      core("hub/admission.test.ts", "nomq-bridge/session-log.test.ts"),
      gateway("access/walk.test.ts"),
    ],
  },
  {
    name: "revocation-reaches-nobody",
    breaks: "what waits for a peer ends with its right",
    file: `${HUB}/revocation.ts`,
    find: "    void sweep(core, () => !isOver && mine === changes);\n",
    replace: "    void (!isOver && mine === changes);\n",
    suites: [core("hub/revocation.test.ts")],
  },
  {
    name: "any-password-will-do",
    breaks: "a login with a wrong password is refused",
    file: "packages/gateway/src/access/password.ts",
    find: "  return timingSafeEqual(await derive(password, parts), parts.hash);\n",
    replace:
      "  return (await derive(password, parts)).length === parts.hash.length || timingSafeEqual(parts.hash, parts.hash);\n",
    suites: [gateway("access/accounts.test.ts")],
  },
  {
    name: "skip-the-scope",
    breaks: "a token does only what its scopes allow",
    file: "packages/gateway/src/api/api.ts",
    find: "  if (scopes.length > 0 && !scopes.some((scope) => caller.scopes.includes(scope))) {\n",
    replace: "  if (scopes.length > 0 && !scopes.some((scope) => scope.length > 0)) {\n",
    suites: [gateway("http/openapi.test.ts", "http/callers.test.ts")],
  },
  {
    name: "skip-access-to-mqtt-clients",
    breaks: "a right withdrawn from an MQTT client stops its running subscription",
    file: "packages/mqtt-bridge/src/messages/forwarding.ts",
    find: "      if (!options.may(client, topic)) {\n",
    replace: "      if (!options.may(client, topic) && msLeft === -1) {\n",
    suites: [mqtt("subscribe.test.ts", "login.test.ts"), gateway("access/walk.test.ts")],
  },
];

/** All of them; each is named once. */
export const SABOTAGES: readonly Sabotage[] = [...DELIVERY, ...STATE, ...SECURITY, ...COAP, ...XMPP];
