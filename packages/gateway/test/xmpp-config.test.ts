import { describe, expect, test } from "vitest";
import { inspectConfig } from "../src/config/load.ts";
import { type Config, parseConfig } from "../src/index.ts";
import { testFolder } from "./launch.ts";

const ENV = { XMPP_PASSWORD: "s3cret" };
const parse = (text: string, folder = "/etc/nomq"): Config =>
  parseConfig({ name: "f", text, folder, env: ENV });

/** All that is wrong, a line each. */
function refusal(text: string, folder = "/"): string {
  const result = inspectConfig({ name: "f", text, folder, env: ENV });
  if (result.ok) throw new Error(`accepted: ${text}`);
  return result.error.message;
}

const ACCOUNT = "domain: example.org, username: gateway, password: { env: XMPP_PASSWORD }";

test("an account is enough; the rest has defaults", () => {
  expect(parse(`xmpp: { ${ACCOUNT} }`).xmpp).toEqual({
    domain: "example.org",
    username: "gateway",
    password: "s3cret",
    publish: [],
    subscribe: [],
    tls: {},
    history: 250,
    findEvery: 60_000,
    access: {},
  });
});

test("every key of the xmpp section arrives, secrets and certificates read", () => {
  using folder = testFolder();
  const pem = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
  folder.file("ca.pem", pem);
  folder.file("xmpp.pw", " from a file\n");
  const text = `
xmpp:
  service: wss://chat.example.org:5281/xmpp-websocket
  domain: example.org
  username: gateway
  password: { file: xmpp.pw }
  pubsub: nodes.example.org
  publish: ["factory/#"]
  subscribe: ["home/+/state"]
  tls: { required: true, ca: ca.pem, servername: chat.example.org }
  history: 1000
  findEvery: 5m
  access: { members: [ann@example.org], publishers: [plc@example.org, other.example] }
  outbox: { messages: 50, bytes: 1MiB, whenFull: refuse }
  component: null
`;
  expect(parse(text, folder.path).xmpp).toEqual({
    service: "wss://chat.example.org:5281/xmpp-websocket",
    domain: "example.org",
    username: "gateway",
    password: "from a file",
    pubsub: "nodes.example.org",
    publish: ["factory/#"],
    subscribe: ["home/+/state"],
    tls: { required: true, ca: pem, servername: "chat.example.org" },
    history: 1000,
    findEvery: 300_000,
    access: { members: ["ann@example.org"], publishers: ["plc@example.org", "other.example"] },
    outbox: { messages: 50, bytes: 1_048_576, whenFull: "refuse" },
  });
});

test("a section with nothing below it, and no section, are no XMPP", () => {
  expect(parse("xmpp:\n").xmpp).toBeUndefined();
  expect(parse("").xmpp).toBeUndefined();
  expect(parse(`xmpp: { ${ACCOUNT}, tls: { ca: null, servername: null } }`).xmpp?.tls).toEqual({});
});

describe("is refused, with path and reason", () => {
  test.each([
    ["{}", "xmpp.domain: is missing"],
    ["{}", "xmpp.username: is missing"],
    ["{}", "xmpp.password: is missing"],
    [`{ ${ACCOUNT}, domian: a }`, "xmpp.domian: is not a known key; did you mean domain?"],
    [`{ ${ACCOUNT}, pubsub: "a@b" }`, "xmpp.pubsub: expected the name of a domain, such as example.org"],
    [
      "{ domain: a, username: gw@a, password: p }",
      "xmpp.username: expected the part before the @ of the account, such as gateway",
    ],
    ["{ domain: a, username: gw, password: '' }", "xmpp.password: is empty"],
    [
      "{ domain: a, username: gw, password: { env: NONE } }",
      "xmpp.password: environment variable NONE is not set",
    ],
    [`{ ${ACCOUNT}, service: "http://a" }`, "xmpp.service: expected xmpp:// or xmpps:// with a host"],
    [
      `{ ${ACCOUNT}, service: "xmpp://gw:s3cret@a" }`,
      "xmpp.service: holds credentials: an account is given by username and password",
    ],
    [
      `{ ${ACCOUNT}, service: "ws://a.example:5280/ws" }`,
      "xmpp.service: has no TLS, which is required unless the service is on this machine; use wss://",
    ],
    [
      `{ ${ACCOUNT}, service: "ws://127.0.0.1:5280/ws", tls: { required: true } }`,
      "xmpp.service: has no TLS, which is required",
    ],
    [`{ ${ACCOUNT}, publish: ["a/#/b"] }`, "xmpp.publish[0]: expected a filter"],
    [`{ ${ACCOUNT}, history: 1 }`, "xmpp.history: expected a whole number from 2 to 1000000"],
    [
      `{ ${ACCOUNT}, findEvery: 60 }`,
      "xmpp.findEvery: expected a duration with its unit, such as 500ms, 60s",
    ],
    [`{ ${ACCOUNT}, findEvery: 500ms }`, "xmpp.findEvery: expected 1s to 576h"],
    [`{ ${ACCOUNT}, findEvery: 600h }`, "xmpp.findEvery: expected 1s to 576h"],
    [`{ ${ACCOUNT}, tls: { ca: none.pem } }`, "xmpp.tls.ca: cannot read /none.pem (ENOENT)"],
    [`{ ${ACCOUNT}, tls: { required: yes please } }`, "xmpp.tls.required: expected true or false"],
    [
      `{ ${ACCOUNT}, access: { members: ["ann@a/phone"] } }`,
      "xmpp.access.members[0]: expected a JID without a resource, such as ann@example.org",
    ],
    [`{ ${ACCOUNT}, outbox: { whenFull: drop } }`, "xmpp.outbox.whenFull: expected drop-oldest, drop-newest"],
  ])("%s", (section, said) => {
    const text = refusal(`xmpp: ${section}`);
    expect(text).toContain(said);
    expect(text).not.toContain("s3cret");
  });

  test("a file that holds no certificate", () => {
    using folder = testFolder();
    folder.file("ca.pem", "something else\n");
    expect(refusal(`xmpp: { ${ACCOUNT}, tls: { ca: ca.pem } }`, folder.path)).toContain(
      "ca.pem holds no certificate in PEM",
    );
  });

  test("component mode, as not available yet", () => {
    const component = "component: { service: 'xmpp://127.0.0.1:5347', domain: n.example.org, secret: s }";
    expect(refusal(`xmpp: { ${ACCOUNT}, ${component} }`)).toMatch(
      /^not-available-yet: f:1:\d+: xmpp\.component: not available yet/,
    );
  });
});

test("a network without TLS has to be asked for", () => {
  const service = "ws://a.example:5280/ws";
  expect(parse(`xmpp: { ${ACCOUNT}, service: "${service}", tls: { required: false } }`).xmpp?.service).toBe(
    service,
  );
});
