import { describe, expect, test } from "vitest";
import { createXmppBridge, type XmppBridgeOptions } from "../src/index.ts";
import { xmppSettings } from "../src/options.ts";

const account: XmppBridgeOptions = { domain: "example.org", username: "gateway", password: "secret" };

describe("options", () => {
  test("have the defaults that the page says", () => {
    expect(xmppSettings(account)).toEqual({
      ...account,
      service: "xmpp://example.org:5222",
      pubsub: "pubsub.example.org",
      publish: [],
      subscribe: [],
      tls: {},
      history: 250,
      findEvery: 60_000,
      access: {},
    });
  });

  test.each<[string, object]>([
    ["xmpp.domain", { domain: "" }],
    ["xmpp.domain", { domain: "a b" }],
    ["xmpp.username", { username: "gateway@example.org" }],
    ["xmpp.password", { password: undefined }],
    ["xmpp.service", { service: "http://example.org" }],
    ["xmpp.service", { service: "xmpp://gateway:secret@example.org" }],
    ["xmpp.publish[1]", { publish: ["a", "b+"] }],
    ["xmpp.subscribe[0]", { subscribe: ["#/a"] }],
    ["xmpp.access.members[0]", { access: { members: ["ann@example.org/phone"] } }],
    ["xmpp.history", { history: 1 }],
    ["xmpp.history", { history: 1.5 }],
    ["xmpp.findEvery", { findEvery: 999 }],
    ["xmpp.findEvery", { findEvery: Number.NaN }],
    ["xmpp.findEvery", { findEvery: 2 ** 31 }],
    ["xmpp.findEvery", { findEvery: "60s" }],
  ])("%s is refused in %o, and the password is not said", (path, wrong) => {
    // What a file may hold.
    const make = (): unknown => createXmppBridge({ ...account, ...wrong } as XmppBridgeOptions);
    expect(make).toThrow(`config-invalid: ${path}: `);
    expect(make).not.toThrow(/secret/);
  });

  test("component mode is not available yet", () => {
    // What a file may hold.
    const options = { ...account, component: { domain: "nomq.example.org" } } as unknown as XmppBridgeOptions;
    expect(() => createXmppBridge(options)).toThrow("not-available-yet: xmpp.component");
  });
});
