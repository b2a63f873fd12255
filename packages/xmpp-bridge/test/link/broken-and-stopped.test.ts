import { createFakeClock } from "@nomq/core/testing";
import { describe, expect, test } from "vitest";
import { createLink } from "../../src/link/create-link.ts";
import { BIND_FEATURE, fakeServer, SCRAM_FEATURE, SM } from "../fake-server.ts";
import { linked } from "./linked.ts";

describe("after a connection that broke", () => {
  test("XEP-0198: a resumed session sends what did not arrive again, once, and asks nothing twice", async () => {
    await using server = await fakeServer();
    await using it = linked(server.service);
    const connection = await server.accept();
    await connection.login({ andThen: "<message/>" });
    await it.until("online");
    const answers = [it.ping(), it.ping()];
    const ids = [await connection.element("iq"), await connection.element("iq")].map(
      ({ attrs }) => attrs["id"],
    );
    connection.socket.destroy();
    const next = await server.accept();
    await next.open(SCRAM_FEATURE);
    await next.authenticate();
    await next.open(`<sm ${SM}/>`);
    const resume = await next.element("resume");
    expect(resume.attrs).toMatchObject({ previd: "session-1", h: "1" });
    // The presence and the first arrived, and its answer comes with the resumption; the second did not.
    next.write(
      `<resumed ${SM} previd='session-1' h='2'/><iq type='result' id='${ids[0]}' from='localhost'/>`,
    );
    const iq = await next.element("iq");
    expect(iq.attrs["id"]).toBe(ids[1]);
    next.write(`<iq type='result' id='${ids[1]}' from='localhost'/><r ${SM}/>`);
    expect((await next.element("a")).attrs["h"]).toBe("3");
    expect((await Promise.all(answers)).map(({ is }) => is)).toEqual(["result", "result"]);
    expect(it.link.counts()).toMatchObject({ sessions: 1, resumptions: 1, replayed: 0 });
  });

  test("where the session is gone all that had no answer is sent again, in order, as it was", async () => {
    await using server = await fakeServer();
    await using it = linked(server.service);
    const connection = await server.accept();
    await connection.login();
    await it.until("online");
    const answers = [it.ping(), it.ping()];
    const sent = [String(await connection.element("iq")), String(await connection.element("iq"))];
    connection.socket.destroy();
    const next = await server.accept();
    await next.open(SCRAM_FEATURE);
    await next.authenticate();
    await next.open(`${BIND_FEATURE}<sm ${SM}/>`);
    await next.element("resume");
    next.write(`<failed ${SM}><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>`);
    const bind = await next.element("iq");
    next.write(
      `<iq type='result' id='${bind.attrs["id"]}'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>gw@localhost/n</jid></bind></iq>`,
    );
    await next.element("enable");
    next.write(`<enabled ${SM}/>`);
    for (const text of sent) {
      const iq = await next.element("iq");
      expect(String(iq)).toBe(text);
      next.write(`<iq type='result' id='${iq.attrs["id"]}' from='localhost'/>`);
    }
    expect((await Promise.all(answers)).map(({ is }) => is)).toEqual(["result", "result"]);
    expect(it.link.counts()).toMatchObject({ sessions: 2, resumptions: 0, replayed: 2 });
  });

  test("half a login is not finished on the next connection", async () => {
    await using server = await fakeServer();
    await using it = linked(server.service);
    const connection = await server.accept();
    await connection.open(SCRAM_FEATURE);
    await connection.element("auth");
    connection.socket.resetAndDestroy();
    const next = await server.accept();
    await next.login();
    await it.until("online");
    expect(next.received().match(/<(auth|response)\b/g)).toEqual(["<auth", "<response"]);
  });
});

describe("stopping", () => {
  test.each([["before it began"], ["while it connects"], ["while it waits"], ["while nobody listens"]])(
    "%s ends what is asked and leaves nothing",
    async (when) => {
      const clock = createFakeClock();
      await using server = await fakeServer();
      const service = when === "while it waits" ? "xmpp://127.0.0.1:1" : server.service;
      const it = linked(service, { clock });
      const answer = it.ping();
      if (when === "while nobody listens") {
        const connection = await server.accept();
        connection.isDeaf = true;
        await connection.login();
      }
      if (when === "while it waits") await it.until("waiting");
      if (when === "while nobody listens") await it.until("online");
      const stopped = it[Symbol.asyncDispose]();
      // The farewell of 1,000 ms: the server never answers it.
      await clock.advance(1_000);
      await stopped;
      expect(await answer).toEqual({ is: "aborted" });
      expect(await it.ping()).toEqual({ is: "aborted" });
      expect(clock.pending()).toBe(0);
      expect(it.link.state().is).toBe("closed");
      await it[Symbol.asyncDispose]();
    },
  );

  test("a link that was never started closes", async () => {
    const clock = createFakeClock();
    const link = createLink({ domain: "a", username: "b", password: "c", resource: "d", clock });
    await link[Symbol.asyncDispose]();
    expect(link.state().is).toBe("closed");
    link.start();
    expect(link.counts().attempts).toBe(0);
  });
});
