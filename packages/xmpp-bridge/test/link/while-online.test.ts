import { Socket } from "node:net";
import { createFakeClock } from "@nomq/core/testing";
import { describe, expect, test, vi } from "vitest";
import { fakeServer, SM } from "../fake-server.ts";
import { advanceUntil, linked } from "./linked.ts";

describe("while online", () => {
  test("RFC 6121 section 4.2: each new session says that we are there, so that nothing is kept for us for ever", async () => {
    await using server = await fakeServer();
    await using it = linked(server.service);
    const connection = await server.accept();
    await connection.login();
    await it.until("online");
    await expect.poll(() => connection.received()).toMatch(/<enable [^>]*\/><presence\/>$/);
  });

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

  test("XEP-0198: what is asked for is acknowledged with what is written next, or soon, and once", async () => {
    await using server = await fakeServer();
    const clock = createFakeClock();
    await using it = linked(server.service, { clock });
    const connection = await server.accept();
    await connection.login({ andThen: "<message/>" });
    await it.until("online");
    connection.write(`<message/><r ${SM}/><message/><message/>`);
    await expect.poll(() => it.stanzas.length).toBe(4);
    expect(connection.received()).not.toContain("<a ");
    void it.ping();
    await connection.element("iq");
    expect((await connection.element("a")).attrs["h"]).toBe("4");
    connection.write(`<r ${SM}/><message/>`);
    await expect.poll(() => it.stanzas.length).toBe(5);
    await clock.advance(20);
    expect((await connection.element("a")).attrs["h"]).toBe("5");
    expect(connection.received().split("<a ")).toHaveLength(3);
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
    ["a comment", "<message><!-- --></message>"],
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

  test("a stanza that comes byte by byte and never ends is no sign of life for ever; many that end are", async () => {
    const clock = createFakeClock();
    await using server = await fakeServer();
    // Sockets may be slower than the clock.
    const times = { stanzaMs: 60_000, askAfterMs: 1_000_000_000 };
    await using it = linked(server.service, { clock, times });
    const connection = await server.accept();
    await connection.login();
    await it.until("online");
    connection.write("<message>");
    for (let count = 1; count <= 30; count += 1) {
      connection.write("</message><message>");
      await expect.poll(() => it.stanzas.length, { interval: 1 }).toBe(count);
      await clock.advance(4_000);
    }
    expect(it.link.state().is).toBe("online");
    const trickle = (): boolean => {
      if (it.link.state().is === "online") connection.write("x");
      return it.link.state().is !== "online";
    };
    await advanceUntil(clock, trickle, 4_000);
    expect(it.states.findLast(({ is }) => is === "waiting")).toMatchObject({
      reason: expect.stringMatching(/not whole in 60000 ms/),
    });
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
    connection.write(`<iq type='result' id='${ping.attrs["id"]}' from='localhost'/><message/>`);
    // Heard before time goes on.
    await expect.poll(() => it.stanzas.some(({ name }) => name === "message"), { interval: 1 }).toBe(true);
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
