import type { Sabotage } from "./sabotages.ts";
import type { Suite } from "./suites.ts";

const coap = (...files: string[]): Suite => ({ project: "coap-bridge", files });
const workspace = (...files: string[]): Suite => ({ project: "workspace", files });

const SRC = "packages/coap-bridge/src";

/** Promises of the CoAP bridge. */
export const COAP: readonly Sabotage[] = [
  {
    name: "coap-answer-before-store",
    breaks: "a PUT is answered once its value is stored",
    file: `${SRC}/resources/write.ts`,
    find: 'until: isQuick ? "accepted" : "stored",',
    replace: 'until: isQuick ? "accepted" : "accepted",',
    suites: [workspace("coap/separate.test.ts")],
  },
  {
    name: "coap-forget-open-requests",
    breaks: "a duplicate of a request that is being handled is not handled again (RFC 7252 section 4.5)",
    file: `${SRC}/messaging/exchanges.ts`,
    find: "    if (this.#open.size === 0) return false;\n",
    replace: "    if (this.#open.size >= 0) return false;\n",
    suites: [coap("messaging/requests.test.ts")],
  },
  {
    name: "coap-skip-the-validator",
    breaks: "nothing of a message with a cut option is executed (RFC 7252 section 3.1)",
    file: `${SRC}/wire/decode.ts`,
    find: "  if (payloadAt === -1) return undefined;\n",
    replace: "",
    suites: [coap("messaging/codec.test.ts"), workspace("coap/core.test.ts")],
  },
  {
    name: "coap-alias-paths",
    breaks: "a slash inside a segment is never the border of two levels",
    file: `${SRC}/wire/uri-path.ts`,
    find: '      if (level.includes("/")) return SLASH;\n',
    replace: "",
    suites: [coap("resources/uri-path.test.ts")],
  },
  {
    name: "coap-ignore-reset-of-non",
    breaks: "a reset of a NON notification ends the observation (RFC 7641 section 3.6)",
    file: `${SRC}/messaging/lines.ts`,
    find: '    this.#tell(sent.ended, "reset");\n',
    replace: "",
    suites: [workspace("coap/observe.test.ts")],
  },
  {
    name: "coap-mix-block-versions",
    breaks: "another value is another ETag: blocks of two are never put together (RFC 7959 section 2.4)",
    file: `${SRC}/resources/etag.ts`,
    find: '  return Buffer.from(id.slice(...RUN) + id.slice(NUMBER), "hex");\n',
    replace: '  return Buffer.from(id.slice(...RUN) + "0".repeat(id.slice(NUMBER).length), "hex");\n',
    suites: [workspace("coap/core.test.ts")],
  },
  {
    name: "coap-answer-to-wrong-address",
    breaks: "an answer goes to the address that asked",
    file: `${SRC}/messaging/peer.ts`,
    find: "    this.at.socket.send(datagram, this.port, this.at.address);\n",
    replace: '    this.at.socket.send(datagram, this.port, "127.0.0.1");\n',
    suites: [workspace("coap/core.test.ts")],
  },
  {
    name: "coap-skip-access-at-read",
    breaks: "who may not subscribe reads nothing",
    file: `${SRC}/server/serve.ts`,
    find: '    if (!port.may(as, "subscribe", channel)) return',
    replace: '    if (!port.may("*", "subscribe", channel)) return',
    suites: [coap("resources/refusing.test.ts")],
  },
  {
    name: "coap-skip-access-at-notification",
    breaks: "a right withdrawn ends the observation before another notification",
    file: `${SRC}/observe/speaker.ts`,
    find: 'port.may(relation.as, "subscribe", relation.channel.name);',
    replace: 'port.may("*", "subscribe", relation.channel.name);',
    suites: [coap("observe/lasting.test.ts", "observe/notifying.test.ts")],
  },
  {
    name: "coap-drop-max-age",
    breaks: "every value says how long it may be taken for current: an absent Max-Age would mean 60 s",
    file: `${SRC}/resources/representation.ts`,
    find: "  options.push({ number: OptionNumber.maxAge, value: uintValue(maxAge) });\n",
    replace: "  if (maxAge < 0) options.push({ number: OptionNumber.maxAge, value: uintValue(maxAge) });\n",
    suites: [workspace("coap/core.test.ts")],
  },
  {
    name: "coap-order-numbers-restart",
    breaks: "order numbers rise over restarts: observers whose relation lasted take lower ones for old",
    file: `${SRC}/observe/order-numbers.ts`,
    find: "  let last = reserved ?? start;\n",
    replace: "  let last = reserved === undefined ? start : 0;\n",
    suites: [coap("observe/lasting.test.ts")],
  },
  {
    name: "coap-forget-the-id",
    breaks: "`?id=` names one publish, from whatever address and under whatever message id",
    file: `${SRC}/resources/transfers.ts`,
    find: "      if (id !== undefined) return {",
    replace: '      if (id === "") return {',
    suites: [coap("resources/writing.test.ts")],
  },
  {
    name: "coap-forget-relations",
    breaks: "observers are told of changes after a restart too",
    file: `${SRC}/observe/restored.ts`,
    find: "    channel.relations.add(relation);\n",
    replace: "",
    suites: [coap("observe/lasting.test.ts")],
  },
  {
    name: "coap-forget-who-heard-no-end",
    breaks: "who did not acknowledge the end of an observation learns after a restart that there is no value",
    file: `${SRC}/observe/relation-book.ts`,
    find: "    if (!leave(relation, reason)) return;\n",
    replace: "    if (!leave(relation, reason)) return;\n    kept.forget(relation);\n",
    suites: [coap("observe/lasting.test.ts")],
  },
];
