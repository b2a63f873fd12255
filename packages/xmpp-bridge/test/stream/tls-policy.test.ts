import type { PeerCertificate } from "node:tls";
import { expect, test } from "vitest";
import { isLoopback, tlsOptions, tlsStep } from "../../src/stream/tls-policy.ts";

const away = "xmpp://xmpp.example.org:5222";
const here = "xmpp://127.0.0.1:5222";

test.each([
  [here, true],
  ["xmpp://localhost", true],
  ["ws://[::1]:5280/x", true],
  ["xmpp://127.9.9.9:1", true],
  [away, false],
  ["xmpp://localhost.example.org", false],
  ["xmpp://10.0.0.1", false],
])("%s stays on this machine: %s", (service, is) => {
  expect(isLoopback(service)).toBe(is);
});

test.each([
  // Without an offer nothing is said to a server elsewhere, unless the operator wants it so.
  [away, {}, "none", "refuse"],
  [away, { required: false }, "none", "go-on"],
  [here, {}, "none", "go-on"],
  [here, { required: true }, "none", "refuse"],
  [here, { ca: "PEM" }, "none", "refuse"],
  [here, { ca: "PEM", required: false }, "none", "go-on"],
  // An offer is taken; on loopback where somebody wants it.
  [away, {}, "offered", "upgrade"],
  [away, { required: false }, "offered", "upgrade"],
  [here, {}, "offered", "go-on"],
  [here, {}, "required", "upgrade"],
  [here, { ca: "PEM" }, "offered", "upgrade"],
  [here, { required: true }, "offered", "upgrade"],
] as const)("%s with %j and STARTTLS %s: %s", (service, settings, offer, is) => {
  expect(tlsStep(service, settings, offer)).toBe(is);
});

test("RFC 6120 section 13.7.2: the certificate must name the domain, not where it was found", () => {
  const certificate = { subject: { CN: "x" }, subjectaltname: "DNS:example.org, IP Address:192.0.2.1" };
  const isGood = (domain: string, servername?: string): boolean => {
    const { checkServerIdentity } = tlsOptions(domain, servername === undefined ? {} : { servername });
    // All that is looked at is there.
    return checkServerIdentity?.("127.0.0.1", certificate as PeerCertificate) === undefined;
  };
  expect(isGood("example.org")).toBe(true);
  expect(isGood("elsewhere.org")).toBe(false);
  expect(isGood("elsewhere.org", "example.org")).toBe(true);
  expect(isGood("192.0.2.1")).toBe(true);
  expect(isGood("192.0.2.2")).toBe(false);
});

test("RFC 6066 section 3: names are asked for, addresses are not", () => {
  expect(tlsOptions("example.org", {}).servername).toBe("example.org");
  expect(tlsOptions("192.0.2.1", {}).servername).toBeUndefined();
});
