import { silentLog } from "@nomq/core";
import { settle } from "@nomq/core/testing";
import { afterAll, beforeAll, expect, test } from "vitest";
import { describeWithPeers } from "../../../../test/peers.ts";
import { openFaultyLink } from "../../../../test/real/faulty-link.ts";
import { type Prosody, startProsody } from "../../../../test/real/prosody.ts";
import { element } from "../../src/stream/build.ts";
import { type Element, Namespace } from "../../src/stream/element.ts";
import type { TlsSettings } from "../../src/stream/tls-policy.ts";
import { linked, pingTo } from "./linked.ts";

const iq = (type: "get" | "set", child: Element): Element =>
  element("iq", { type, to: "pubsub.localhost" }, [child]);
const pubsub = (child: Element): Element => element("pubsub", { xmlns: Namespace.pubsub }, [child]);
const items = (node: string): Element => iq("get", pubsub(element("items", { node })));
const publish = (node: string, text: string): Element =>
  iq("set", pubsub(element("publish", { node }, [element("item", { id: "current" }, [payload(text)])])));
/** A machine may be so busy that an attempt is given up before: that is tried again, and is not fatal. */
const isFatal = ({ fatal }: { readonly fatal: boolean }): boolean => fatal;
const payload = (text: string): Element => element("json", { xmlns: Namespace.json }, [text]);

describeWithPeers("with a real Prosody", ["prosody", "openssl"], () => {
  let shared: Prosody;
  beforeAll(async () => {
    shared = await startProsody({ tls: true });
  });
  afterAll(() => shared[Symbol.asyncDispose]());

  test.each<[string, (server: Prosody) => string, (server: Prosody) => TlsSettings]>([
    ["in clear on loopback", ({ service }) => service, () => ({})],
    ["with STARTTLS", ({ service }) => service, ({ ca }) => ({ ca, required: true })],
    ["with direct TLS", ({ tlsService }) => tlsService, ({ ca }) => ({ ca })],
    ["over a WebSocket", ({ webSocket }) => webSocket, () => ({})],
  ])("logs in %s, and bytes of any letters arrive whole", async (_how, serviceOf, tlsOf) => {
    await using it = linked(serviceOf(shared), { tls: tlsOf(shared) });
    const { jid } = await it.until("online");
    expect(jid).toBe("gw@localhost/nomq");
    await it.link.request(iq("set", pubsub(element("create", { node: "n" }))));
    const text = "ä€😀".repeat(20_000);
    expect(await it.link.request(publish("n", text))).toMatchObject({ is: "result" });
    const answer = await it.link.request(items("n"));
    expect(answer.is === "result" && answer.stanza.toString()).toContain(text);
  });

  test("a link that was stopped leaves no socket and no timer, however it was connected", async () => {
    const count = (): number =>
      process.getActiveResourcesInfo().filter((name) => /TCP|TLS|Connect|Timeout/.test(name)).length;
    const before = count();
    for (const service of [shared.service, shared.tlsService, shared.webSocket]) {
      await using online = linked(service, {
        tls: { ca: shared.ca, required: service !== shared.webSocket },
      });
      await using refused = linked(service, { tls: {}, password: "no", resource: "other" });
      await Promise.all([online.until("online"), refused.until("waiting")]);
    }
    // Not by `expect.poll`, which has a timer of its own.
    while (count() > before) await settle();
  });

  test("a certificate nobody vouches for is fatal and said", async () => {
    await using it = linked(shared.service, { tls: { required: true } });
    const reason = expect.stringContaining("certificate is not trusted");
    expect(await it.until("waiting", isFatal)).toMatchObject({ fatal: true, reason });
  });

  test("no STARTTLS where TLS is required is fatal and said", async () => {
    await using server = await startProsody();
    await using it = linked(server.service, { tls: { required: true } });
    const reason = expect.stringContaining("offers no TLS");
    expect(await it.until("waiting", isFatal)).toMatchObject({ fatal: true, reason });
  });

  test("a certificate of another name is fatal, though it is vouched for", async () => {
    await using server = await startProsody({ tls: true, certificateFor: "elsewhere.test" });
    await using it = linked(server.service, { tls: { ca: server.ca } });
    expect(await it.until("waiting", isFatal)).toMatchObject({
      fatal: true,
      reason: expect.stringContaining("ALTNAME"),
    });
  });

  test("a server that knows not the name asked for, and a port without TLS, are fatal and said", async () => {
    await using named = linked(shared.tlsService, { tls: { ca: shared.ca, servername: "elsewhere.test" } });
    await using clear = linked(shared.service.replace("xmpp:", "xmpps:"), { tls: { ca: shared.ca } });
    for (const it of [named, clear])
      expect(await it.until("waiting", isFatal)).toMatchObject({
        fatal: true,
        reason: expect.stringMatching(/^TLS does not come about: ERR_SSL_/),
      });
  });

  test("a wrong password, an unknown name and an unknown domain are fatal and said", async () => {
    await using wrong = linked(shared.service, { password: "no" });
    await using unknown = linked(shared.service, { username: "nobody" });
    await using elsewhere = linked(shared.service, { domain: "elsewhere.test" });
    for (const it of [wrong, unknown])
      expect(await it.until("waiting", isFatal)).toMatchObject({
        fatal: true,
        reason: expect.stringContaining("not-authorized"),
      });
    expect(await elsewhere.until("waiting", isFatal)).toMatchObject({
      fatal: true,
      reason: expect.stringContaining("host-unknown"),
    });
  });

  test("a server that is not there is waited for", async () => {
    await using server = await startProsody();
    await server.end();
    await using it = linked(server.service);
    const { fatal } = await it.until("waiting", ({ reason }) => reason.includes("ECONNREFUSED"));
    expect(fatal).toBe(false);
    await server.start();
    await it.until("online");
  });

  test("two with one resource: the first is told, and does not fight for it", async () => {
    await using first = linked(shared.service);
    await first.until("online");
    await using second = linked(shared.service);
    await second.until("online");
    expect(await first.until("waiting", isFatal)).toMatchObject({
      fatal: true,
      reason: expect.stringContaining("conflict"),
    });
  });

  test("errors say their kind and condition", async () => {
    await using it = linked(shared.service);
    await it.until("online");
    expect(await it.link.request(items("none"))).toMatchObject({
      type: "cancel",
      condition: "item-not-found",
    });
    expect(await it.link.request(pingTo("elsewhere.test"))).toMatchObject({ is: "error" });
    await using bob = linked(shared.service, { username: "bob", password: "bobpw" });
    await bob.until("online");
    const create = iq("set", pubsub(element("create", { node: "x" })));
    expect(await bob.link.request(create)).toMatchObject({
      is: "error",
      type: "auth",
      condition: "forbidden",
    });
  });

  test("XEP-0198: a cut is mended by a resumption; after the server's restart a new session", async () => {
    await using server = await startProsody();
    await using faulty = await openFaultyLink(server.port);
    await using it = linked(`xmpp://127.0.0.1:${faulty.port}`);
    await it.until("online");
    await it.ping();
    faulty.fault("reset");
    await it.until("online", ({ resumed }) => resumed);
    expect(await it.ping()).toMatchObject({ is: "result" });
    await server.end("SIGKILL");
    const answer = it.ping();
    await it.until("waiting");
    await server.start();
    expect(await answer).toMatchObject({ is: "result" });
    expect(it.link.counts()).toMatchObject({ sessions: 2, resumptions: 1 });
  });

  test("seven thousand answers and more are counted as the server counts them", async () => {
    await using server = await startProsody();
    await using faulty = await openFaultyLink(server.port);
    await using it = linked(`xmpp://127.0.0.1:${faulty.port}`);
    await it.until("online");
    const many = process.env["NOMQ_LONG"] ? 7_000 : 700;
    const answers = await Promise.all(Array.from({ length: many }, () => it.ping()));
    expect(answers.every(({ is }) => is === "result")).toBe(true);
    faulty.fault("cut");
    await it.until("online", ({ resumed }) => resumed);
    expect(await it.ping()).toMatchObject({ is: "result" });
    expect(it.link.counts()).toMatchObject({ sessions: 1, resumptions: 1, replayed: 0, open: 0 });
  });

  test("a server without stream management is lived with", async () => {
    await using server = await startProsody({ without: ["smacks"] });
    await using it = linked(server.service);
    await it.until("online");
    const answer = it.ping();
    expect(await answer).toMatchObject({ is: "result" });
    await server.end("SIGKILL");
    await it.until("waiting");
    await server.start();
    await it.until("online", ({ resumed }) => !resumed);
  });

  test("a stanza that the server dies of twice is given up, and its neighbours arrive", async () => {
    await using server = await startProsody({ more: "c2s_stanza_size_limit = 20000" });
    // What it says as it closes is lost on the way at times: some sessions more.
    await using it = linked(server.service, { times: { longestDelayMs: 250 } });
    await it.until("online");
    await it.link.request(iq("set", pubsub(element("create", { node: "n" }))));
    const answers = await Promise.all([
      ...[1, 2, 3].map((count) => it.link.request(publish("n", `${count}`))),
      it.link.request(publish("n", "x".repeat(30_000))),
      ...[4, 5, 6].map((count) => it.link.request(publish("n", `${count}`))),
    ]);
    expect(answers.map(({ is }) => is)).toEqual([
      ...["result", "result", "result", "poison", "result", "result", "result"],
    ]);
    expect(it.link.counts()).toMatchObject({ poisoned: 1 });
  });

  test("what would certainly end the stream does not go out", async () => {
    await using it = linked(shared.service);
    await it.until("online");
    for (const text of ["\u0000", "\ufffe", "\ud800", "x".repeat(260_000)])
      expect(await it.link.request(publish("n", text))).toMatchObject({ is: "poison" });
    expect(await it.ping()).toMatchObject({ is: "result" });
    expect(it.link.counts()).toMatchObject({ sessions: 1 });
  });

  test.runIf(process.env["NOMQ_LONG"])(
    "a rate limit as packaged is seen, said once with what to do, and shown",
    async () => {
      const more = 'limits = { c2s = { rate = "10kb/s" } }';
      await using server = await startProsody({ more, including: ["limits"] });
      const said: string[] = [];
      const log = { ...silentLog, warn: (text: string) => void said.push(text) };
      await using it = linked(server.service, { log });
      await it.until("online");
      await it.link.request(iq("set", pubsub(element("create", { node: "n" }))));
      const answers = Array.from({ length: 1_000 }, () => it.link.request(publish("n", "x")));
      await Promise.all(answers);
      expect(it.link.counts().slow?.answersPerSecond).toBeLessThan(80);
      expect(said).toEqual([expect.stringMatching(/Prosody lets 10 kB\/s.*docs\/xmpp\.md/)]);
    },
  );

  test("asking too much is refused as something to try again", async () => {
    await using it = linked(shared.service, { maxWaiting: 2, window: 1 });
    const answers = [it.ping(), it.ping(), it.ping()];
    expect(await answers[2]).toMatchObject({ type: "wait", condition: "resource-constraint" });
    expect(await Promise.all(answers.slice(0, 2))).toMatchObject([{ is: "result" }, { is: "result" }]);
  });
});
