import { createRequire } from "node:module";
import { describe, expect, test } from "vitest";
import { assertInternals, createClient, type XmppClient } from "../../src/stream/xmpp-js.ts";

const made = (): XmppClient =>
  createClient({
    ...{ service: "xmpp://127.0.0.1:1", domain: "localhost", tls: { servername: "localhost" } },
    maxMessageBytes: 1000,
  });

/** As xmpp.js makes it: its own listeners are there. */
function untouched(change: (client: object) => void): object {
  const client = made();
  for (const event of ["element", "send"]) client.on(event as "element", () => undefined);
  expect(() => assertInternals(client)).not.toThrow();
  change(client);
  return client;
}

describe("xmpp.js", () => {
  test("is of the release that this was written for", () => {
    const { version } = createRequire(import.meta.url)("@xmpp/client/package.json") as { version: string };
    expect(version).toBe("0.14.0");
    expect(made).not.toThrow();
  });

  test.each(["_onData", "_attachSocket", "_detachParser", "_streamError", "socketParameters", "reconnect"])(
    "without %s it is refused, loudly",
    (name) => {
      const client = untouched((one) => Reflect.set(one, name, undefined));
      expect(() => assertInternals(client)).toThrow(`0.14.0): no`);
      expect(() => assertInternals(client)).toThrow(name);
    },
  );

  test("with other transports or other listeners it is refused too", () => {
    expect(() => assertInternals(untouched((one) => Reflect.set(one, "transports", [])))).toThrow(
      /no transport/,
    );
    expect(() => assertInternals(made())).toThrow(/listeners/);
    for (const none of [undefined, null, 1, {}]) expect(() => assertInternals(none)).toThrow(/0\.14\.0/);
  });

  test("does nothing of its own: no reconnecting, no SASL, no stream management, no redirection", () => {
    const client = made();
    for (const event of ["element", "send", "disconnect", "offline"])
      expect(client.listenerCount(event)).toBe(0);
    expect(Object.hasOwn(client, "_onStreamError")).toBe(true);
  });

  test("takes our TLS options for direct TLS, and only there", () => {
    const client = made();
    Reflect.set(client, "Transport", client.transports[2]);
    expect(client.socketParameters("xmpps://127.0.0.1:5223")).toMatchObject({
      port: 5223,
      servername: "localhost",
    });
    Reflect.set(client, "Transport", client.transports[1]);
    expect(client.socketParameters("xmpp://127.0.0.1:1")).toEqual({ host: "127.0.0.1", port: 1 });
  });
});
