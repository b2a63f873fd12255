import { createMemoryStore } from "@nomq/core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { describeWithEjabberd } from "../../../test/peers.ts";
import { startEjabberd } from "../../../test/real/ejabberd.ts";
import { openFaultyLink } from "../../../test/real/faulty-link.ts";
import type { Prosody } from "../../../test/real/prosody.ts";
import { nodeOfChannel } from "../src/nodes/node-name.ts";
import { element } from "../src/stream/build.ts";
import { Namespace } from "../src/stream/element.ts";
import { startBridge } from "./bridge-world.ts";
import { linked } from "./link/linked.ts";
import { connectClient, type PubsubClient, type SeenItem } from "./pubsub-client.ts";
import {
  client,
  create,
  idOf,
  json,
  ours,
  publish,
  receivingFrom,
  requests,
} from "./receiving/real-world.ts";

const texts = (items: readonly SeenItem[] | undefined): string[] | undefined =>
  items?.map(({ id, text }) => (id === "current" ? `current: ${text}` : text));

const text = (words: string) => element("text", { xmlns: Namespace.nomq }, [words]);

describeWithEjabberd("channels on a real ejabberd", () => {
  let server: Prosody;
  let gw: PubsubClient;
  let alice: PubsubClient;
  beforeAll(async () => {
    server = await startEjabberd();
    gw = await connectClient(server, "gw");
    alice = await connectClient(server, "alice");
  });
  afterAll(async () => {
    await alice[Symbol.asyncDispose]();
    await gw[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
  });

  test("a state is one item that new subscribers are sent; cleared, it is retracted", async () => {
    await using world = await startBridge(server);
    expect(await world.outcome({ channel: "s/a", text: "1", qos: 1, retain: true })).toBe("delivered");
    expect(await world.outcome({ channel: "s/a", text: "2", qos: 1, retain: true })).toBe("delivered");
    await alice.subscribe("s/a");
    await expect.poll(() => texts(alice.seen)?.at(-1)).toBe("current: 2");
    expect(await world.outcome({ channel: "s/a", text: "", qos: 1, retain: true })).toBe("delivered");
    await expect.poll(() => alice.retracted).toEqual(["s/a current"]);
    expect(texts(await alice.items("s/a"))).toEqual([]);
    const configuration = Object.fromEntries(await gw.configuration("s/a"));
    expect(configuration).toMatchObject({
      ...{ persist_items: "1", max_items: "1", send_last_published_item: "on_sub", access_model: "open" },
      ...{ publish_model: "publishers", notify_delete: "1", notification_type: "headline" },
    });
  });

  test("a history keeps the state, and its subscribers hear of nothing that was pushed out", async () => {
    await using world = await startBridge(server, { history: 8 });
    await world.outcome({ channel: "h/a", text: "state", qos: 1, retain: true });
    await alice.subscribe("h/a");
    for (let number = 1; number <= 30; number += 1)
      await world.outcome({ channel: "h/a", text: `${number}`, qos: 1 });
    expect((await gw.configuration("h/a")).get("max_items")).toBe("9");
    const items = texts(await alice.items("h/a")) ?? [];
    expect(items).toHaveLength(9);
    expect(items).toContain("current: state");
    expect(items.filter((one) => one !== "current: state").at(-1)).toBe("30");
    expect(world.bridge.counts().publishing.renewed).toBeGreaterThan(2);
    await expect.poll(() => alice.seen.at(-1)?.text).toBe("30");
    expect(alice.retracted.filter((one) => one.startsWith("h/a"))).toEqual([]);
  });

  test("a history longer than it allows is as long as it allows, and is said", async () => {
    await using world = await startBridge(server, { history: 5_000 });
    expect(await world.outcome({ channel: "h/long", text: "1", qos: 1 })).toBe("delivered");
    await world.until("degraded", /^node "h\/long": max_items: 1000 instead of 5001$/);
  });

  test("a channel of 300 bytes has a node, whose title says it to who looks for channels", async () => {
    const channel = `long/${"ä".repeat(147)}/x`;
    await using world = await startBridge(server);
    expect(await world.outcome({ channel, text: "1", qos: 2, retain: true })).toBe("delivered");
    expect((await gw.configuration(nodeOfChannel(channel))).get("title")).toBe(channel);
    await using it = await receivingFrom(server.service, { subscribe: ["long/#"], gateway: "other" });
    await expect.poll(() => it.texts(channel)).toEqual(["[1]"]);
  });

  test("with members nobody else reads a node; of publishers it is said who they are", async () => {
    await using bob = await connectClient(server, "bob");
    const access = { members: ["alice@localhost"], publishers: ["alice@localhost"] };
    await using world = await startBridge(server, { access });
    expect(await world.outcome({ channel: "m/a", text: "1", qos: 1 })).toBe("delivered");
    expect(texts(await alice.items("m/a"))).toEqual(["1"]);
    expect(await bob.subscribe("m/a")).toMatchObject({ is: "error" });
    expect(await bob.items("m/a")).toBeUndefined();
    expect(await bob.publish("m/a", "x", text("2"))).toMatchObject({ condition: "forbidden" });
    const refused: string[] = [];
    const may = (who: string, action: string): boolean => {
      if (action === "publish") refused.push(who);
      return action !== "publish";
    };
    await using it = await receivingFrom(server.service, { subscribe: ["m/a"], access: { access: { may } } });
    await expect.poll(() => it.receiving.counts().subscribed).toBe(1);
    expect(await alice.publish("m/a", "y", text("3"))).toMatchObject({ is: "result" });
    await expect.poll(() => it.receiving.counts().refused).toEqual({ access: 1 });
    expect(refused).toContain("jid:alice@localhost");
  });

  test("only who published an item may replace it: the state of a node is one account's", async () => {
    await using world = await startBridge(server, { access: { publishers: ["alice@localhost"] } });
    await world.outcome({ channel: "m/s", text: "1", qos: 1, retain: true });
    expect(await alice.publish("m/s", "current", text("2"))).toMatchObject({ condition: "forbidden" });
    await alice.publish("m/t", "current", text("hers"));
    expect(await world.outcome({ channel: "m/t", text: "1", qos: 1, retain: true })).toBe(
      "refused: forbidden",
    );
  });

  test("128 KiB of anything get through", async () => {
    await using world = await startBridge(server);
    for (const letter of ["x", "<", "\0"]) {
      const all = letter.repeat(131_072);
      expect(await world.outcome({ channel: "large", text: all, qos: 1, retain: true })).toBe("delivered");
      expect((await alice.items("large"))?.[0]?.text === all).toBe(true);
    }
  });

  test("what it sends to who becomes present, and had kept for the account, is no second message", async () => {
    const store = createMemoryStore();
    await using somebody = await client(server.service);
    // As a node is unless it is set up: the youngest item goes to subscribers that become present.
    for (const node of ["p1", "p2"]) await somebody.done(requests.create(node));
    {
      await using it = await receivingFrom(server.service, { subscribe: ["p1", "p2"], store });
      await expect.poll(() => it.receiving.counts().subscribed).toBe(2);
      for (const node of ["p1", "p2"]) await somebody.done(publish(node, "e0", json("0")));
      await expect.poll(() => it.texts()).toEqual(["0", "0"]);
    }
    await somebody.done(publish("p1", "e1", json("1")));
    await using it = await receivingFrom(server.service, { subscribe: ["p1", "p2"], store });
    await expect.poll(() => it.texts("p1")).toEqual(["1"]);
    for (let n = 2; n < 20; n += 1) {
      await somebody.done(publish("p1", `e${n}`, json(String(n))));
      await expect.poll(() => it.texts("p1").at(-1)).toBe(String(n));
    }
    expect(it.texts("p1")).toEqual(Array.from({ length: 19 }, (_, at) => String(at + 1)));
    expect(it.texts("p2")).toEqual([]);
  });

  test("what was missed while the gateway was down comes once, oldest first; what is gone is a gap", async () => {
    const store = createMemoryStore();
    await using somebody = await client(server.service);
    await somebody.done(create("t7", 40));
    const send = async (first: number, last: number): Promise<void> => {
      for (let n = first; n <= last; n += 1) await somebody.done(publish("t7", `e${n}`, json(String(n))));
    };
    {
      await using it = await receivingFrom(server.service, { subscribe: ["t7"], store });
      await expect.poll(() => it.receiving.counts().subscribed).toBe(1);
      await send(0, 0);
      await somebody.done(publish("t7", "current", json('"s"')));
      await expect.poll(() => it.texts()).toEqual(["0", '["s"]']);
    }
    await send(1, 30);
    {
      await using it = await receivingFrom(server.service, { subscribe: ["t7"], store });
      await expect.poll(() => it.texts()).toEqual(Array.from({ length: 30 }, (_, at) => String(at + 1)));
      expect(it.receiving.counts()).toMatchObject({ caughtUp: 30, gaps: 0 });
    }
    await send(31, 80);
    await using it = await receivingFrom(server.service, { subscribe: ["t7"], store });
    await expect.poll(() => it.texts().at(-1)).toBe("80");
    expect(it.receiving.counts()).toMatchObject({ gaps: 1 });
    expect(it.texts().filter((one) => one !== "[]").length).toBeGreaterThanOrEqual(39);
  });
});

describeWithEjabberd("an ejabberd set up otherwise", () => {
  test("STARTTLS with an own authority, passwords kept as SCRAM-SHA-1; a wrong one is said", async () => {
    await using server = await startEjabberd({ tls: true, requireTls: true, passwords: "scram" });
    const tls = { required: true, ca: server.ca };
    await using world = await startBridge(server, { tls });
    expect(await world.outcome({ channel: "a", text: "1", qos: 1 })).toBe("delivered");
    await using wrong = await startBridge(server, { tls, password: "wrong" });
    await wrong.until("degraded", /not-authorized/);
    await using distrusting = await startBridge(server, { tls: { required: true } });
    await distrusting.until("degraded", /certificate/i);
  });

  test("direct TLS, and a WebSocket", async () => {
    await using server = await startEjabberd({ tls: true });
    // With an authority given, TLS is required on this machine too, and this WebSocket has none.
    for (const [service, tls] of [
      [server.tlsService, { ca: server.ca }] as const,
      [server.webSocket, {}] as const,
    ]) {
      await using it = linked(service, { tls });
      await it.until("online");
      expect(await it.ping()).toMatchObject({ is: "result" });
    }
  });

  test("who may not make nodes is told so; without pubsub messages wait", async () => {
    await using server = await startEjabberd({ creators: ["alice@localhost"] });
    await using world = await startBridge(server);
    expect(await world.outcome({ channel: "a", text: "1", qos: 1 })).toMatch(/^refused: forbidden/);
    await world.until("degraded", /^node "a": forbidden/);
    await using without = await startEjabberd({ without: ["mod_pubsub"] });
    await using waiting = await startBridge(without);
    await waiting.until("degraded", /^pubsub service pubsub\.localhost: ./);
  });

  test("of more than 100 nodes it lists 100, which is said; told so, it lists all", async () => {
    for (const all of [false, true]) {
      await using server = await startEjabberd({ morePubsub: all ? ["max_nodes_discoitems: infinity"] : [] });
      await using somebody = await client(server.service);
      for (let n = 0; n < 120; n += 1) await somebody.done(create(`many/${n}`));
      await using it = await receivingFrom(server.service, { subscribe: ["many/#"] });
      await expect.poll(() => it.receiving.counts().subscribed).toBe(all ? 120 : 100);
      expect(it.receiving.problems()).toEqual(
        all ? [] : [expect.stringContaining("nodes-not-listed: cut-at-100")],
      );
    }
  });

  test("XEP-0198: a cut is mended by a resumption; after the server's restart a new session", async () => {
    await using server = await startEjabberd();
    await using faulty = await openFaultyLink(server.port);
    await using it = linked(`xmpp://127.0.0.1:${faulty.port}`);
    await it.until("online");
    await it.ping();
    faulty.fault("reset");
    await it.until("online", ({ resumed }) => resumed);
    expect(await it.ping()).toMatchObject({ is: "result" });
    await server.end("SIGTERM");
    const answer = it.ping();
    await it.until("waiting");
    await server.start();
    expect(await answer).toMatchObject({ is: "result" });
    expect(it.link.counts()).toMatchObject({ sessions: 2, resumptions: 1 });
  });

  test("states that it forgets when it is killed are set again", async () => {
    await using server = await startEjabberd();
    await using alice = await connectClient(server, "alice");
    await using world = await startBridge(server);
    for (let number = 0; number < 150; number += 1)
      await world.outcome({ channel: `st/${number % 7}`, text: `${number}`, qos: 1, retain: true });
    await server.end("SIGKILL");
    await world.until("reconnecting");
    await server.start();
    for (let number = 143; number < 150; number += 1) {
      const items = async () => texts(await alice.items(`st/${number % 7}`));
      await expect.poll(items).toEqual([`current: ${number}`]);
    }
  });

  test("a server that is stopped and started while somebody publishes: every event comes, once", async () => {
    await using server = await startEjabberd();
    await using somebody = await client(server.service);
    await somebody.done(create("k", 200));
    await using it = await receivingFrom(server.service, { subscribe: ["k"] });
    await expect.poll(() => it.receiving.counts().subscribed).toBe(1);
    const numbers = Array.from({ length: 90 }, (_, n) => String(n));
    for (const number of numbers) {
      const done = somebody.done(publish("k", idOf(number), ours(number)));
      if (Number(number) % 30 === 15) {
        await server.end("SIGTERM");
        await server.start();
      }
      await done;
    }
    await expect.poll(() => it.texts()).toEqual(numbers);
    expect(it.receiving.counts()).toMatchObject({ gaps: 0, published: 90 });
  });

  test("its packaged rate limit is found and said", async () => {
    await using server = await startEjabberd({ limited: true });
    await using world = await startBridge(server);
    for (let number = 0; number < 400; number += 1)
      await world.publish({ channel: `lim/${number % 5}`, text: "12345678901234567890", qos: 1 });
    await world.until("degraded", /^rate-limited, or short of power: the server takes \d+ requests a second/);
  });
});
