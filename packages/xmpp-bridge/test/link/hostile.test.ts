import { createFakeClock } from "@nomq/core/testing";
import { describe, expect, test } from "vitest";
import { BIND_FEATURE, type FakeConnection, fakeServer, SCRAM_FEATURE, SM } from "../fake-server.ts";
import { advanceUntil, linked } from "./linked.ts";

const STREAM_ERRORS = "xmlns='urn:ietf:params:xml:ns:xmpp-streams'";
const streamError = (inside: string): string => `<stream:error>${inside}</stream:error></stream:stream>`;
const result = (id: string | undefined): string => `<iq type='result' id='${id}' from='localhost'/>`;

/** All up to the features behind authentication. */
async function letIn(connection: FakeConnection, features: string): Promise<void> {
  await connection.open(SCRAM_FEATURE);
  await connection.authenticate();
  await connection.open(features);
}

/** What the client has written, once it has answered a ping of the server's. */
async function settled(connection: FakeConnection): Promise<string> {
  connection.write("<iq type='get' id='last' from='localhost'><ping xmlns='urn:xmpp:ping'/></iq>");
  await expect.poll(() => connection.received(), { interval: 5 }).toMatch(/id="last"/);
  return connection.received();
}

describe("a server that means harm", () => {
  test("XEP-0198: a flood of questions is answered once for each piece that came", async () => {
    await using server = await fakeServer();
    await using _it = linked(server.service);
    const connection = await server.accept();
    await connection.login();
    connection.write(`<r ${SM}/>`.repeat(20_000));
    const answers = (await settled(connection)).match(/<a /g) ?? [];
    expect(answers.length).toBeGreaterThan(0);
    expect(answers.length).toBeLessThan(2_000);
  });

  test.each([
    ["of another session", `previd='another' h='0'`],
    ["with more than was sent", `previd='session-1' h='9'`],
    ["with a number that is none", `previd='session-1' h='-1'`],
    ["without a number", `previd='session-1'`],
  ])("XEP-0198: a resumption %s is not tried again", async (_what, attributes) => {
    await using server = await fakeServer();
    await using it = linked(server.service);
    const connection = await server.accept();
    await connection.login();
    await it.until("online");
    connection.socket.destroy();
    const next = await server.accept();
    await letIn(next, `${BIND_FEATURE}<sm ${SM}/>`);
    await next.element("resume");
    next.write(`<resumed ${SM} ${attributes}/>`);
    expect(await it.until("waiting", ({ reason }) => !/closed/.test(reason))).toMatchObject({ fatal: false });
    await (await server.accept()).login();
    expect(await it.until("online")).toMatchObject({ resumed: false });
  });

  test("stream errors before the login are of no stanza of ours: what is open goes on", async () => {
    await using server = await fakeServer();
    await using it = linked(server.service);
    const connection = await server.accept();
    await connection.login({ manages: false });
    await it.until("online");
    const answer = it.ping();
    await connection.element("iq");
    connection.socket.destroy();
    for (let count = 0; count < 3; count += 1) {
      const refusing = await server.accept();
      await refusing.open("");
      refusing.write(streamError(`<policy-violation ${STREAM_ERRORS}/>`));
    }
    const good = await server.accept();
    await good.login({ manages: false });
    good.write(result((await good.element("iq")).attrs["id"]));
    expect((await answer).is).toBe("result");
    expect(it.link.counts().poisoned).toBe(0);
  });

  test("RFC 6120 section 4.9.3.19: another host that it names is not asked, and gets no password", async () => {
    await using server = await fakeServer();
    await using other = await fakeServer();
    await using it = linked(server.service);
    const connection = await server.accept();
    await connection.open(SCRAM_FEATURE);
    const host = other.service.replace("xmpp://", "");
    connection.write(streamError(`<see-other-host ${STREAM_ERRORS}>${host}</see-other-host>`));
    expect(await it.until("waiting")).toMatchObject({ reason: expect.stringMatching(/see-other-host/) });
    let isAsked = false;
    void other.accept().then(() => (isAsked = true));
    await (await server.accept()).login();
    await it.until("online");
    expect(isAsked).toBe(false);
  });

  test("conditions and names that it makes up are no text without end", async () => {
    await using server = await fakeServer();
    await using it = linked(server.service);
    const connection = await server.accept();
    await connection.login();
    await it.until("online");
    const answer = it.ping();
    const { id } = (await connection.element("iq")).attrs;
    const long = "x".repeat(100_000);
    connection.write(
      `<iq type='error' id='${id}' from='localhost'><error type='cancel'><${long} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>`,
    );
    expect(await answer).toEqual({ is: "error", type: "cancel", condition: "undefined-condition" });
    connection.write(streamError(`<${long} ${STREAM_ERRORS}/><text ${STREAM_ERRORS}>${long}</text>`));
    const { reason } = await it.until("waiting");
    expect(reason.length).toBeLessThan(300);
  });

  test.each([
    ["no JID", "hello"],
    ["more than a JID may have", `gw@localhost/${"x".repeat(4_000)}`],
    ["several lines", "gw@localhost/a&#10;b"],
  ])("a resource whose name is %s is refused", async (_what, jid) => {
    await using server = await fakeServer();
    await using it = linked(server.service);
    const connection = await server.accept();
    await letIn(connection, BIND_FEATURE);
    await connection.element("iq");
    connection.write(
      `<iq type='result' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>${jid}</jid></bind></iq>`,
    );
    expect(await it.until("waiting")).toMatchObject({ reason: expect.stringMatching(/no JID/) });
  });

  test("a login that goes on and on, each answer just in time, is given up", async () => {
    const clock = createFakeClock();
    await using server = await fakeServer();
    await using it = linked(server.service, { clock });
    const connection = await server.accept();
    await letIn(connection, `${BIND_FEATURE}<sm ${SM}/>`);
    await connection.element("iq");
    connection.write(
      "<iq type='result' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>gw@localhost/a</jid></bind></iq>",
    );
    await connection.element("enable");
    const begun = clock.monotonic();
    const trickle = (): boolean => {
      connection.write("<message/>");
      return it.link.state().is === "waiting";
    };
    await advanceUntil(clock, trickle, 1_000);
    expect(it.link.state()).toMatchObject({ reason: expect.stringMatching(/not logged in/) });
    expect(clock.monotonic() - begun).toBeLessThanOrEqual(65_000);
  });

  test.each([
    ["before authentication", false],
    ["while stream management begins", true],
  ])("a flood %s ends the attempt", async (_when, isLetIn) => {
    await using server = await fakeServer();
    await using it = linked(server.service);
    const connection = await server.accept();
    if (isLetIn) {
      await letIn(connection, `${BIND_FEATURE}<sm ${SM}/>`);
      await connection.element("iq");
      connection.write(
        "<iq type='result' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>gw@localhost/a</jid></bind></iq>",
      );
      await connection.element("enable");
    } else await connection.open(SCRAM_FEATURE);
    connection.write(`<message><body>${"x".repeat(100_000)}</body></message>`.repeat(20));
    expect(await it.until("waiting")).toMatchObject({
      reason: expect.stringMatching(/before anybody was known|instead of challenge/),
    });
  });
});

describe("anybody who knows our address", () => {
  const PING = "<ping xmlns='urn:xmpp:ping'/>";

  test("is answered as often as it costs us little; our own server always", async () => {
    const clock = createFakeClock();
    await using server = await fakeServer();
    await using it = linked(server.service, { clock });
    const connection = await server.accept();
    await connection.login();
    await it.until("online");
    for (let count = 0; count < 500; count += 1) {
      connection.write(`<iq type='get' id='b${count}' from='bob@localhost/x'>${PING}</iq>`);
      connection.write(`<iq type='get' id='s${count}' from='localhost'>${PING}</iq>`);
    }
    const written = await settled(connection);
    expect(written.match(/id="s\d+"/g)).toHaveLength(500);
    expect(written.match(/id="b\d+"/g)).toHaveLength(50);
    await clock.advance(2_000);
    for (let count = 0; count < 500; count += 1)
      connection.write(`<iq type='get' id='c${count}' from='bob@localhost/x'>${PING}</iq>`);
    connection.write(`<iq type='get' id='again' from='localhost'>${PING}</iq>`);
    await expect.poll(() => connection.received(), { interval: 5 }).toMatch(/id="again"/);
    expect(connection.received().match(/id="c\d+"/g)).toHaveLength(10);
  });

  test("does not have our server end our stream by a question whose answer is too long", async () => {
    await using server = await fakeServer();
    await using it = linked(server.service);
    const connection = await server.accept();
    await connection.login();
    await it.until("online");
    const id = "&quot;".repeat(40_000);
    connection.write(`<iq type='get' id='${id}' from='bob@localhost/x'>${PING}</iq>`);
    expect((await settled(connection)).length).toBeLessThan(10_000);
  });
});
