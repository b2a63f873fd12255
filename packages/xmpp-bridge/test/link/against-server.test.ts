import { Socket } from "node:net";
import { createFakeClock, type FakeClock } from "@nomq/core/testing";
import { describe, expect, test, vi } from "vitest";
import { fakeServer, SCRAM_FEATURE, SM } from "../fake-server.ts";
import { linked } from "./linked.ts";

const TLS = "xmlns='urn:ietf:params:xml:ns:xmpp-tls'";

/** Moves time on until it holds: sockets settle between. */
async function advanceUntil(clock: FakeClock, holds: () => boolean, step = 250): Promise<void> {
  for (let count = 0; count < 1_000 && !holds(); count += 1) await clock.advance(step);
  expect(holds()).toBe(true);
}

describe("before it is online", () => {
  test("nothing is sent but what the login needs, and then all of it in order", async () => {
    await using server = await fakeServer();
    await using it = linked(server.service);
    const answers = [it.ping(), it.ping()];
    const connection = await server.accept();
    await connection.login();
    const [first, second] = [await connection.element("iq"), await connection.element("iq")];
    for (const iq of [first, second])
      connection.write(`<iq type='result' id='${iq.attrs["id"]}' from='localhost'/>`);
    expect((await Promise.all(answers)).map(({ is }) => is)).toEqual(["result", "result"]);
    expect(connection.received().match(/<(auth|response|iq|enable)\b/g)).toEqual([
      ...["<auth", "<response", "<iq", "<enable", "<iq", "<iq"],
    ]);
  });

  test("a server that does not know the password itself gets nothing more", async () => {
    await using server = await fakeServer();
    await using it = linked(server.service);
    const connection = await server.accept();
    await connection.open(SCRAM_FEATURE);
    await connection.authenticate({ password: "another" });
    expect(await it.until("waiting")).toMatchObject({
      fatal: true,
      reason: expect.stringMatching(/signature is wrong/),
    });
    await connection.closed;
    expect(connection.received()).not.toContain("bind");
  });

  test("PLAIN would show the password to whoever listens: without TLS it is not used", async () => {
    await using server = await fakeServer();
    await using it = linked(server.service);
    const connection = await server.accept();
    await connection.open(SCRAM_FEATURE.replace("SCRAM-SHA-256", "PLAIN"));
    expect(await it.until("waiting")).toMatchObject({
      fatal: true,
      reason: expect.stringMatching(/offers PLAIN/),
    });
    expect(connection.received()).not.toContain("auth");
  });

  test("where TLS is required and STARTTLS was taken out on the way, no word is said", async () => {
    await using server = await fakeServer();
    await using it = linked(server.service, { tls: { required: true } });
    const connection = await server.accept();
    await connection.open(SCRAM_FEATURE);
    expect(await it.until("waiting")).toMatchObject({
      fatal: true,
      reason: expect.stringMatching(/offers no TLS/),
    });
    await connection.closed;
    expect(connection.received()).not.toMatch(/auth|gw/);
  });

  test("what came in clear behind <proceed/> does not stand for what TLS would bring", async () => {
    await using server = await fakeServer();
    await using it = linked(server.service, { tls: { required: true } });
    const connection = await server.accept();
    await connection.open(`<starttls ${TLS}/>`);
    await connection.element("starttls");
    connection.write(`<proceed ${TLS}/><stream:features>${SCRAM_FEATURE}</stream:features>`);
    expect(await it.until("waiting")).toMatchObject({ reason: expect.stringMatching(/not its turn/) });
    expect(connection.received()).not.toContain("auth");
  });

  test.each([
    ["not-authorized", true],
    ["account-disabled", true],
    ["temporary-auth-failure", false],
  ])("the SASL failure %s is fatal: %s", async (condition, fatal) => {
    await using server = await fakeServer();
    await using it = linked(server.service);
    const connection = await server.accept();
    await connection.open(SCRAM_FEATURE);
    await connection.element("auth");
    connection.write(`<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><${condition}/></failure>`);
    expect(await it.until("waiting")).toMatchObject({ fatal, reason: expect.stringContaining(condition) });
  });

  test.each(["connected", "stream opened", "login begun"])(
    "a server that is silent once %s is given up, and the next attempt begins anew",
    async (phase) => {
      const clock = createFakeClock();
      await using server = await fakeServer();
      await using it = linked(server.service, { clock });
      const connection = await server.accept();
      if (phase !== "connected") await connection.open(SCRAM_FEATURE);
      if (phase === "login begun") await connection.element("auth");
      else await connection.next();
      await advanceUntil(clock, () => it.link.state().is === "waiting", 5_000);
      expect(it.link.state()).toMatchObject({
        reason: expect.stringMatching(/no answer in 10000 ms/),
        fatal: false,
      });
      const again = server.accept();
      await advanceUntil(clock, () => it.link.counts().attempts > 1, 100);
      await (await again).login();
      await it.until("online");
    },
  );
});

describe("while online", () => {
  test("XEP-0198: answers and messages count, those right behind <enabled/> too", async () => {
    await using server = await fakeServer();
    await using it = linked(server.service);
    const connection = await server.accept();
    await connection.login({ andThen: `<message id='1'/><message id='2'/><presence/><r ${SM}/>` });
    expect((await connection.element("a")).attrs["h"]).toBe("3");
    const answer = it.ping();
    const iq = await connection.element("iq");
    connection.write(`<iq type='result' id='${iq.attrs["id"]}' from='localhost'/><r ${SM}/>`);
    expect((await connection.element("a")).attrs["h"]).toBe("4");
    expect((await answer).is).toBe("result");
    expect(it.stanzas.map(({ name }) => name)).toEqual(["message", "message", "presence"]);
  });

  test("small stanzas do not wait for acknowledgements of TCP", async () => {
    using noDelay = vi.spyOn(Socket.prototype, "setNoDelay");
    await using server = await fakeServer();
    await using it = linked(server.service);
    const connection = await server.accept();
    await connection.login();
    await it.until("online");
    const ours = noDelay.mock.contexts.findIndex((socket) => socket !== connection.socket);
    expect(noDelay.mock.calls[ours]).toEqual([true]);
  });

  test("RFC 6120 section 8.2.3: iqs of others have an answer, pings the one they want", async () => {
    await using server = await fakeServer();
    await using _it = linked(server.service);
    const connection = await server.accept();
    await connection.login();
    connection.write("<iq type='get' id='p' from='localhost'><ping xmlns='urn:xmpp:ping'/></iq>");
    expect((await connection.element("iq")).attrs).toMatchObject({
      type: "result",
      id: "p",
      to: "localhost",
    });
    connection.write("<iq type='set' id='q' from='bob@localhost/x'><query xmlns='jabber:iq:roster'/></iq>");
    const refusal = await connection.element("iq");
    expect(refusal.attrs).toMatchObject({ type: "error", id: "q" });
    expect(refusal.getChild("error")?.getChild("service-unavailable")).toBeDefined();
  });

  test.each([
    ["an entity that is none", "<message>&boom;</message>"],
    ["tags that do not match, and more", "<message></iq></message></a></b>"],
    ["data behind the end", "</stream:stream><message/></stream:stream>"],
    ["a hundred thousand levels", "<a>".repeat(100_000)],
    ["a name that is no JID", "<message from='@@//'/></stream:stream>"],
  ])("%s ends the stream and nothing else", async (_what, xml) => {
    await using server = await fakeServer();
    await using it = linked(server.service);
    const connection = await server.accept();
    await connection.login();
    await it.until("online");
    connection.write(xml);
    await it.until("waiting");
    const next = await server.accept();
    expect(await next.next()).toBe("open");
  });

  test("a conflict is fatal: another has our resource", async () => {
    await using server = await fakeServer();
    await using it = linked(server.service);
    const connection = await server.accept();
    await connection.login();
    connection.write(
      "<stream:error><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/><text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>Replaced\n by new</text></stream:error></stream:stream>",
    );
    expect(await it.until("waiting")).toMatchObject({
      fatal: true,
      reason: expect.stringMatching(/conflict: Replaced by new/),
    });
  });

  test("a server that no longer answers is asked and then given up", async () => {
    const clock = createFakeClock();
    await using server = await fakeServer();
    await using it = linked(server.service, { clock });
    const connection = await server.accept();
    await connection.login();
    await it.until("online");
    const asked = connection.element("r");
    await clock.advance(5_000);
    await asked;
    await clock.advance(9_999);
    expect(it.link.state().is).toBe("online");
    await clock.advance(1);
    expect(it.link.state()).toMatchObject({ is: "waiting", reason: expect.stringMatching(/nothing heard/) });
  });

  test("XEP-0199: a server without stream management is pinged, and lives when it answers", async () => {
    const clock = createFakeClock();
    await using server = await fakeServer();
    await using it = linked(server.service, { clock });
    const connection = await server.accept();
    await connection.login({ manages: false });
    await it.until("online");
    const asked = connection.element("iq");
    await clock.advance(5_000);
    const ping = await asked;
    expect(ping.getChild("ping", "urn:xmpp:ping")).toBeDefined();
    const again = connection.element("iq");
    connection.write(`<iq type='result' id='${ping.attrs["id"]}' from='localhost'/>`);
    await advanceUntil(clock, () => connection.received().split("urn:xmpp:ping").length > 2, 500);
    await again;
    expect(it.link.state().is).toBe("online");
  });

  test("an answer that does not come is said so, in time that was online", async () => {
    const clock = createFakeClock();
    await using server = await fakeServer();
    await using it = linked(server.service, { clock, times: { askAfterMs: 100_000 } });
    const connection = await server.accept();
    await connection.login();
    await it.until("online");
    const answer = it.ping();
    await connection.element("iq");
    await clock.advance(15_000);
    expect(await answer).toEqual({ is: "unanswered" });
    expect(it.link.counts()).toMatchObject({ unanswered: 1, open: 0 });
  });
});

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
    // The first arrived, and its answer comes with the resumption; the second did not.
    next.write(
      `<resumed ${SM} previd='session-1' h='1'/><iq type='result' id='${ids[0]}' from='localhost'/>`,
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
    await next.open(`<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/><sm ${SM}/>`);
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
    const { createLink } = await import("../../src/link/create-link.ts");
    const clock = createFakeClock();
    const link = createLink({ domain: "a", username: "b", password: "c", resource: "d", clock });
    await link[Symbol.asyncDispose]();
    expect(link.state().is).toBe("closed");
    link.start();
    expect(link.counts().attempts).toBe(0);
  });
});
