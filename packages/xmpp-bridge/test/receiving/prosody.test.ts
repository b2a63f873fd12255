import { createMemoryStore } from "@nomq/core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { describeWithPeers } from "../../../../test/peers.ts";
import { type Prosody, startProsody } from "../../../../test/real/prosody.ts";
import { submission } from "../../src/nodes/config-form.ts";
import { element } from "../../src/stream/build.ts";
import { type Element, Namespace } from "../../src/stream/element.ts";
import {
  type Client,
  client,
  create,
  idOf,
  json,
  ours,
  PUBSUB,
  publish,
  receivingFrom,
  requests,
  retract,
} from "./real-world.ts";

const owner = (name: "purge" | "delete", node: string): Element =>
  element("iq", { type: "set", to: PUBSUB }, [
    element("pubsub", { xmlns: Namespace.pubsubOwner }, [element(name, { node })]),
  ]);

describeWithPeers("nodes of a real Prosody become channels", ["prosody"], () => {
  let server: Prosody;
  let alice: Client;
  beforeAll(async () => {
    server = await startProsody({ admins: ["gw@localhost", "alice@localhost"], memory: true });
    alice = await client(server.service);
  });
  afterAll(async () => {
    await alice[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
  });

  test("a state that is there, a new state, its retraction", async () => {
    await alice.done(create("t1/state"));
    await alice.done(publish("t1/state", "old", json("0")));
    await alice.done(publish("t1/state", "current", json('{"v":1}')));
    await using it = await receivingFrom(server.service, { subscribe: ["t1/#"] });
    await expect.poll(() => it.texts()).toEqual(['[{"v":1}]']);
    expect(it.messages[0]).toMatchObject({ contentType: "application/json", qos: 1 });
    await alice.done(publish("t1/state", "current", json('{"v":2}')));
    await alice.done(retract("t1/state", "old"));
    await alice.done(retract("t1/state", "current"));
    await expect.poll(() => it.texts()).toEqual(['[{"v":1}]', '[{"v":2}]', "[]"]);
    expect(it.receiving.counts()).toMatchObject({ published: 2, cleared: 1, evicted: 1 });
  });

  test("`+` and `#` find nodes, also one made later, and one that only its title names", async () => {
    const long = `t2/x/${"ä".repeat(147)}`;
    await alice.done(create("t2/a/temp"));
    await alice.done(create("t2/a/hum"));
    await alice.done(create(long));
    await alice.done(publish(long, "current", json("5")));
    await using it = await receivingFrom(server.service, { subscribe: ["t2/+/temp", "t2/x/#"] });
    await expect.poll(() => it.texts(long)).toEqual(["[5]"]);
    await expect.poll(() => it.receiving.counts().subscribed).toBe(2);
    await alice.done(create("t2/b/temp"));
    await expect.poll(() => it.receiving.counts().subscribed).toBe(3);
    for (const channel of ["t2/a/temp", "t2/b/temp", "t2/a/hum"])
      await alice.done(publish(channel, "e1", json("1")));
    await expect.poll(() => it.messages.length).toBe(3);
    expect(it.texts("t2/a/temp")).toEqual(["1"]);
    expect(it.texts("t2/b/temp")).toEqual(["1"]);
    expect(it.texts("t2/a/hum")).toEqual([]);
  });

  test("what a gateway wrote comes with all it said; own items and their retractions do not come", async () => {
    await alice.done(create("t3"));
    await using it = await receivingFrom(server.service, { subscribe: ["t3"] });
    await expect.poll(() => it.receiving.counts().subscribed).toBe(1);
    const said = { qos: 2, priority: 7, contentType: "text/x", properties: [["a", "b"]] } as const;
    await alice.done(publish("t3", idOf("one"), ours("one", { ...said, expiresInMs: 60_000 })));
    await alice.done(publish("t3", "current", ours("mine", { gateway: "g" })));
    it.receiving.sent({ node: "t3", item: "current" });
    await alice.done(retract("t3", "current"));
    await alice.done(publish("t3", idOf("late"), ours("late", { expiresAt: Date.now() - 1 })));
    await alice.done(publish("t3", idOf("two"), ours("two", { qos: 0 })));
    await expect.poll(() => it.texts()).toEqual(["one", "two"]);
    expect(it.messages[0]).toMatchObject({ ...said, retain: false });
    expect(it.messages[0]?.expiresAt).toBeGreaterThan(Date.now());
    expect(it.receiving.counts()).toMatchObject({ echoes: 2, expired: 1, cleared: 0 });
  });

  test("a gateway's message counts once, however often it is published again; a stranger's may be the same honestly", async () => {
    await alice.done(create("t4"));
    await using it = await receivingFrom(server.service, { subscribe: ["t4"] });
    await expect.poll(() => it.receiving.counts().subscribed).toBe(1);
    const state = ours("on", { retain: true });
    for (let n = 0; n < 3; n += 1) await alice.done(publish("t4", "current", state));
    for (let n = 0; n < 2; n += 1) await alice.done(publish("t4", "heartbeat", json("1")));
    await expect.poll(() => it.texts()).toEqual(["[on]", "1", "1"]);
    expect(it.receiving.counts().duplicates).toBeGreaterThanOrEqual(2);
  });

  test("what was subscribed by a gateway whose data folder was lost does not come a second time", async () => {
    await alice.done(requests.create("lost", submission({ notification_type: "normal" })));
    {
      await using before = await client(server.service, "gw", "nomq-lost");
      await before.done(requests.subscribe("lost", "gw@localhost/nomq-lost"));
    }
    await using it = await receivingFrom(server.service, { subscribe: ["lost"] });
    await expect.poll(() => it.receiving.counts().subscribed).toBe(1);
    for (let n = 0; n < 3; n += 1) await alice.done(publish("lost", "heartbeat", json(`${n}`)));
    await expect.poll(() => it.texts().at(-1)).toBe("2");
    await expect.poll(() => it.receiving.counts().unwanted).toBe(3);
    expect(it.texts()).toEqual(["0", "1", "2"]);
  });

  test("purged and deleted nodes have no state; a node made again is found again", async () => {
    for (const channel of ["t5/a", "t5/b"]) {
      await alice.done(create(channel));
      await alice.done(publish(channel, "current", json("1")));
    }
    await using it = await receivingFrom(server.service, { subscribe: ["t5/+"] });
    await expect.poll(() => it.messages.length).toBe(2);
    await alice.done(owner("purge", "t5/a"));
    await alice.done(owner("delete", "t5/b"));
    await expect.poll(() => it.texts("t5/a")).toEqual(["[1]", "[]"]);
    await expect.poll(() => it.texts("t5/b")).toEqual(["[1]", "[]"]);
    await alice.done(create("t5/b"));
    await alice.done(publish("t5/b", "current", json("2")));
    await expect.poll(() => it.texts("t5/b")).toEqual(["[1]", "[]", "[2]"]);
  });

  test("a Prosody that tells our subscriptions no more, for a node of them was deleted, is read all the same", async () => {
    await alice.done(create("t9/gone"));
    await alice.done(create("t9/stays"));
    const store = createMemoryStore();
    {
      await using first = await receivingFrom(server.service, { subscribe: ["t9/+"], store });
      await expect.poll(() => first.receiving.counts().subscribed).toBe(2);
      await alice.done(owner("delete", "t9/gone"));
      await alice.done(publish("t9/stays", "e1", json("1")));
      await expect.poll(() => first.texts("t9/stays")).toEqual(["1"]);
    }
    await alice.done(publish("t9/stays", "e2", json("2")));
    await using second = await receivingFrom(server.service, { subscribe: ["t9/+"], store });
    await expect.poll(() => second.texts("t9/stays")).toEqual(["2"]);
    await alice.done(create("t9/new"));
    await expect.poll(() => second.receiving.counts().subscribed).toBe(2);
    await alice.done(create("t9/gone"));
  });

  test.each([
    { now: "is gone", seen: [], news: ["[]"] },
    { now: "is what it was before", seen: ["on"], news: ["[on]"] },
  ])("a state that came just before a crash and now $now is not kept", async ({ now, seen, news }) => {
    const channel = `t10/${now.replaceAll(" ", "-")}`;
    await alice.done(create(channel));
    const store = createMemoryStore();
    const options = { subscribe: [channel], store };
    {
      await using first = await receivingFrom(server.service, options);
      await expect.poll(() => first.receiving.counts().subscribed).toBe(1);
      for (const text of seen) await alice.done(publish(channel, "current", json(text)));
      await expect.poll(() => first.texts()).toEqual(seen.map((text) => `[${text}]`));
      // As the hub has it after the crash, and what is remembered of the node has not.
      const draft = { channel, payload: Buffer.from("off"), qos: 1, retain: true } as const;
      const from = { attachment: `xmpp:${PUBSUB}`, until: "stored" } as const;
      await first.port.publish(draft, "jid:alice@localhost", from);
    }
    await using second = await receivingFrom(server.service, options);
    await expect.poll(() => second.texts()).toEqual(news);
  });

  test("only the service is heard", async () => {
    await alice.done(create("t6"));
    await using it = await receivingFrom(server.service, { subscribe: ["t6"] });
    await expect.poll(() => it.receiving.counts().subscribed).toBe(1);
    const forged = element("message", { to: "gw@localhost/nomq-g", id: "x" }, [
      element("event", { xmlns: Namespace.pubsubEvent }, [
        element("items", { node: "t6" }, [element("item", { id: "f" }, [json("666")])]),
      ]),
    ]);
    // A link sends any stanza that it is given; to a message no answer comes.
    void alice.link.request(forged, { timeoutMs: 50 });
    await expect.poll(() => it.receiving.counts().otherSource).toBe(1);
    await alice.done(publish("t6", "e", json("1")));
    await expect.poll(() => it.texts()).toEqual(["1"]);
  });

  test("what was missed while the gateway was down comes once, oldest first, and what is gone is counted as a gap", async () => {
    const store = createMemoryStore();
    await alice.done(create("t7", 40));
    await alice.done(publish("t7", "before", json('"before"')));
    {
      await using first = await receivingFrom(server.service, { subscribe: ["t7"], store });
      await expect.poll(() => first.receiving.counts().subscribed).toBe(1);
      await alice.done(publish("t7", "e0", json("0")));
      await alice.done(publish("t7", "current", json('"s"')));
      // Set while the node is still being joined, the state is read ahead of what was told.
      await expect.poll(() => first.texts().toSorted()).toEqual(["0", '["s"]']);
    }
    for (let n = 1; n <= 30; n += 1) await alice.done(publish("t7", `e${n}`, json(String(n))));
    await alice.done(retract("t7", "current"));
    {
      await using second = await receivingFrom(server.service, { subscribe: ["t7"], store });
      const numbers = Array.from({ length: 30 }, (_, at) => String(at + 1));
      await expect.poll(() => second.messages.length).toBe(31);
      expect(second.texts()).toEqual(["[]", ...numbers]);
      expect(second.receiving.counts()).toMatchObject({ caughtUp: 30, cleared: 1, gaps: 0 });
    }
    for (let n = 31; n <= 80; n += 1) await alice.done(publish("t7", `e${n}`, json(String(n))));
    await using third = await receivingFrom(server.service, { subscribe: ["t7"], store });
    await expect.poll(() => third.texts().at(-1)).toBe("80");
    expect(third.texts()).toEqual(Array.from({ length: 40 }, (_, at) => String(at + 41)));
    expect(third.receiving.counts()).toMatchObject({ caughtUp: 40, gaps: 1 });
  });

  test("what the server kept for the account meanwhile is taken from it, and is no second message", async () => {
    const store = createMemoryStore();
    const form = submission({ max_items: "5", persist_items: "1", notification_type: "normal" });
    await alice.done(requests.create("t10", form));
    {
      await using first = await receivingFrom(server.service, { subscribe: ["t10"], store });
      await expect.poll(() => first.receiving.counts().subscribed).toBe(1);
    }
    // Servers keep messages of this type for accounts that are away (XEP-0160).
    for (let n = 1; n <= 8; n += 1) await alice.done(publish("t10", `e${n}`, json(String(n))));
    await using second = await receivingFrom(server.service, { subscribe: ["t10"], store });
    await expect.poll(() => second.texts()).toEqual(["4", "5", "6", "7", "8"]);
    await expect.poll(() => second.receiving.counts().stored).toBe(8);
    await alice.done(publish("t10", "e9", json("9")));
    await expect.poll(() => second.texts()).toEqual(["4", "5", "6", "7", "8", "9"]);
    // Nothing is left for whoever comes next.
    await using next = await client(server.service, "gw", "next");
    const told: Element[] = [];
    next.link.onStanza((stanza) => told.push(stanza));
    void next.link.request(element("presence"), { timeoutMs: 50 });
    await next.ask(element("iq", { type: "get" }, [element("ping", { xmlns: Namespace.ping })]));
    expect(told.filter(({ name }) => name === "message")).toEqual([]);
  });

  test("a server killed again and again while somebody publishes: every event comes, once", async () => {
    await using killed = await startProsody({ admins: ["gw@localhost", "alice@localhost"] });
    await using somebody = await client(killed.service);
    await somebody.done(create("k", 200));
    await using it = await receivingFrom(killed.service, { subscribe: ["k"] });
    await expect.poll(() => it.receiving.counts().subscribed).toBe(1);
    const numbers = Array.from({ length: 90 }, (_, n) => String(n));
    for (const number of numbers) {
      const done = somebody.done(publish("k", idOf(number), ours(number)));
      if (Number(number) % 30 === 15) {
        await killed.end("SIGKILL");
        await killed.start();
      }
      await done;
    }
    await expect.poll(() => it.messages.length).toBe(90);
    expect(it.texts()).toEqual(numbers);
    expect(it.receiving.counts()).toMatchObject({ gaps: 0, published: 90 });
  });

  test("publishers that the rules do not know are refused and counted, under their own names where they are told", async () => {
    await using telling = await startProsody({
      ...{ admins: ["gw@localhost", "alice@localhost"], memory: true, morePubsub: "expose_publisher = true" },
    });
    await using somebody = await client(telling.service);
    await somebody.done(create("t8"));
    const asked: string[] = [];
    const may = (who: string, action: string): boolean => {
      if (action === "publish") asked.push(who);
      return action !== "publish" || who !== "jid:alice@localhost";
    };
    await using it = await receivingFrom(telling.service, { subscribe: ["t8"], access: { access: { may } } });
    await expect.poll(() => it.receiving.counts().subscribed).toBe(1);
    await somebody.done(publish("t8", "e", json("1")));
    await expect.poll(() => it.receiving.counts().refused).toEqual({ access: 1 });
    expect(asked).toContain("jid:alice@localhost");
    expect(it.texts()).toEqual([]);
  });
});
