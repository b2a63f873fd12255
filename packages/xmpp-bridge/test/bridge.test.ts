import { createMemoryStore } from "@nomq/core";
import { createFakeClock } from "@nomq/core/testing";
import { afterAll, beforeAll, expect, test } from "vitest";
import { describeWithPeers } from "../../../test/peers.ts";
import { type Prosody, startProsody } from "../../../test/real/prosody.ts";
import { nodeOfChannel } from "../src/nodes/node-name.ts";
import { requestsTo } from "../src/nodes/pubsub-request.ts";
import { element } from "../src/stream/build.ts";
import { Namespace } from "../src/stream/element.ts";
import { startBridge } from "./bridge-world.ts";
import { connectClient, type PubsubClient, type SeenItem } from "./pubsub-client.ts";

const texts = (items: readonly SeenItem[] | undefined): string[] | undefined =>
  items?.map(({ id, text }) => (id === "current" ? `current: ${text}` : text));

describeWithPeers("channels on a real Prosody", ["prosody", "openssl"], () => {
  let server: Prosody;
  let gw: PubsubClient;
  beforeAll(async () => {
    server = await startProsody();
    gw = await connectClient(server, "gw");
  });
  afterAll(async () => {
    await gw[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
  });

  test("a state is one item that new subscribers are sent; cleared, it is retracted", async () => {
    await using alice = await connectClient(server, "alice");
    await using world = await startBridge(server);
    expect(await world.outcome({ channel: "s/a", text: "1", qos: 1, retain: true })).toBe("delivered");
    expect(await world.outcome({ channel: "s/a", text: "2", qos: 1, retain: true })).toBe("delivered");
    expect(texts(await alice.items("s/a"))).toEqual(["current: 2"]);
    await alice.subscribe("s/a");
    await expect.poll(() => texts(alice.seen)).toEqual(["current: 2"]);
    expect(await world.outcome({ channel: "s/a", text: "", qos: 1, retain: true })).toBe("delivered");
    await expect.poll(() => alice.retracted).toEqual(["s/a current"]);
    expect(texts(await alice.items("s/a"))).toEqual([]);
  });

  test("the first event of QoS 1 raises the node to the history, in which the state stays", async () => {
    await using alice = await connectClient(server, "alice");
    await using world = await startBridge(server, { history: 8 });
    await world.outcome({ channel: "h/a", text: "state", qos: 1, retain: true });
    expect((await gw.configuration("h/a")).get("max_items")).toBe("1");
    for (let number = 1; number <= 30; number += 1)
      await world.outcome({ channel: "h/a", text: `${number}`, qos: 1 });
    expect((await gw.configuration("h/a")).get("max_items")).toBe("9");
    const items = texts(await alice.items("h/a")) ?? [];
    expect(items).toContain("current: state");
    expect(items.filter((one) => one !== "current: state")).toEqual(
      ["23", "24", "25", "26", "27", "28", "29", "30"].slice(9 - items.length),
    );
    expect(world.bridge.counts().publishing.renewed).toBeGreaterThan(2);
  });

  test("a channel of 300 bytes has a node, whose title says it", async () => {
    const channel = `long/${"ä".repeat(147)}/x`;
    await using alice = await connectClient(server, "alice");
    await using world = await startBridge(server);
    expect(Buffer.byteLength(channel)).toBeGreaterThanOrEqual(300);
    expect(await world.outcome({ channel, text: "1", qos: 2, retain: true })).toBe("delivered");
    expect(texts(await alice.items(nodeOfChannel(channel)))).toEqual(["current: 1"]);
    expect((await gw.configuration(nodeOfChannel(channel))).get("title")).toBe(channel);
  });

  test("with members nobody else reads a node, and publishers write it", async () => {
    await using alice = await connectClient(server, "alice");
    await using bob = await connectClient(server, "bob");
    const access = { members: ["alice@localhost"], publishers: ["alice@localhost"] };
    await using world = await startBridge(server, { access });
    expect(await world.outcome({ channel: "m/a", text: "1", qos: 1, retain: true })).toBe("delivered");
    expect(texts(await alice.items("m/a"))).toEqual(["current: 1"]);
    expect(await bob.subscribe("m/a")).toMatchObject({ is: "error" });
    expect(await bob.items("m/a")).toBeUndefined();
    const payload = element("text", { xmlns: Namespace.nomq }, ["2"]);
    expect(await bob.publish("m/a", "current", payload)).toMatchObject({ condition: "forbidden" });
    expect(await alice.publish("m/a", "current", payload)).toMatchObject({ is: "result" });
  });

  test("a node of somebody else is published to where its owner lets us, set up by nobody; with members it is not", async () => {
    await using strict = await startProsody({ memory: true, admins: ["alice@localhost"] });
    await using alice = await connectClient(strict, "alice");
    const { affiliate } = requestsTo(strict.pubsub);
    for (const node of ["o/ours", "o/shut"]) await alice.create(node);
    await alice.ask(affiliate("o/ours", [{ jid: "gw@localhost", affiliation: "publisher" }]));
    const before = await alice.configuration("o/ours");
    {
      await using world = await startBridge(strict);
      expect(await world.outcome({ channel: "o/ours", text: "state", qos: 1, retain: true })).toBe(
        "delivered",
      );
      for (const text of ["1", "2", "3"])
        expect(await world.outcome({ channel: "o/ours", text, qos: 1 })).toBe("delivered");
      expect(texts(await alice.items("o/ours"))).toEqual(["current: state", "1", "2", "3"]);
      expect(await world.outcome({ channel: "o/ours", text: "", qos: 1, retain: true })).toBe("delivered");
      expect(texts(await alice.items("o/ours"))).toEqual(["1", "2", "3"]);
      await world.until("ready");
      expect(world.bridge.counts().nodes).toMatchObject({ created: 0, configured: 0, failed: 0 });
      expect(await world.outcome({ channel: "o/shut", text: "1", qos: 1 })).toBe("refused: forbidden");
      expect(await world.outcome({ channel: "o/absent", text: "1", qos: 1 })).toBe("refused: forbidden");
      await world.until("degraded", /^node "o\/(shut|absent)" and 1 more: forbidden$/);
    }
    expect(await alice.configuration("o/ours")).toEqual(before);
    await using world = await startBridge(strict, { access: { members: ["bob@localhost"] } });
    expect(await world.outcome({ channel: "o/ours", text: "secret", qos: 1 })).toMatch(
      /^refused: .*not-owner/,
    );
    await world.until("degraded", /^node "o\/ours": not-owner/);
    expect(texts(await alice.items("o/ours"))).toEqual(["1", "2", "3"]);
  });

  test("128 KiB of anything get through, and a byte more is refused", async () => {
    await using alice = await connectClient(server, "alice");
    await using world = await startBridge(server);
    const most = 131_072;
    for (const text of ["x".repeat(most), "<".repeat(most), "\0".repeat(most)]) {
      expect(await world.outcome({ channel: "large", text, qos: 1, retain: true })).toBe("delivered");
      const [item] = (await alice.items("large")) ?? [];
      expect(item?.text === text).toBe(true);
    }
    const text = "x".repeat(most + 1);
    expect(await world.outcome({ channel: "large", text, qos: 1, retain: true })).toBe("refused: too-large");
    await world.until("ready");
  });

  test("an item whose time is over is taken back, also where the gateway was away then", async () => {
    const clock = createFakeClock();
    const store = createMemoryStore({ clock });
    await using alice = await connectClient(server, "alice");
    {
      await using world = await startBridge(server, { clock, store });
      const soon = { text: "1", qos: 1, ttlMs: 3_000 } as const;
      expect(await world.outcome({ channel: "ttl/now", retain: true, ...soon })).toBe("delivered");
      expect(await world.outcome({ channel: "ttl/event", ...soon })).toBe("delivered");
      for (const channel of ["ttl/now", "ttl/event"]) expect(await alice.items(channel)).toHaveLength(1);
      await clock.advance(3_000);
      await expect.poll(async () => await alice.items("ttl/now")).toEqual([]);
      await expect.poll(async () => await alice.items("ttl/event")).toEqual([]);
      await expect.poll(() => world.bridge.counts().publishing.expired).toBe(2);
      await world.outcome({ channel: "ttl/later", text: "1", qos: 1, retain: true, ttlMs: 10_000 });
      await world.outcome({ channel: "ttl/later-event", text: "1", qos: 1, ttlMs: 10_000 });
    }
    for (const channel of ["ttl/later", "ttl/later-event"])
      expect(await alice.items(channel)).toHaveLength(1);
    await clock.advance(10_000);
    await using _world = await startBridge(server, { clock, store });
    await expect.poll(async () => await alice.items("ttl/later")).toEqual([]);
    await expect.poll(async () => await alice.items("ttl/later-event")).toEqual([]);
  });

  test("after a restart the state that lies there is not published again, and the gateway has its name", async () => {
    const store = createMemoryStore();
    await using alice = await connectClient(server, "alice");
    {
      await using world = await startBridge(server, { store });
      await world.outcome({ channel: "r/a", text: "kept", qos: 1, retain: true });
      await world.outcome({ channel: "r/b", text: "lost", qos: 1, retain: true });
    }
    await gw.retract("r/b", "current");
    await alice.subscribe("r/a");
    await using world = await startBridge(server, { store });
    await expect.poll(() => world.bridge.counts().publishing.unchanged).toBe(1);
    await expect.poll(async () => texts(await alice.items("r/b"))).toEqual(["current: lost"]);
    // What it was sent at its subscription, and no more.
    expect(texts(alice.seen)).toEqual(["current: kept"]);
  });
});

describeWithPeers("a Prosody that goes", ["prosody", "openssl"], () => {
  test("what is published meanwhile comes when it is back, in order, each once", async () => {
    await using server = await startProsody();
    await using world = await startBridge(server);
    await world.outcome({ channel: "a", text: "0", qos: 1 });
    await server.end("SIGKILL");
    await world.until("reconnecting", /^xmpp:\/\/127\.0\.0\.1:\d+: ./);
    for (let number = 1; number <= 40; number += 1)
      await world.publish({ channel: "a", text: `${number}`, qos: 1 });
    await server.start();
    await world.until("ready");
    await expect.poll(() => world.hub.attachments()[0]?.ledger.pending).toBe(0);
    await using alice = await connectClient(server, "alice");
    expect(texts(await alice.items("a"))).toEqual(Array.from({ length: 41 }, (_, number) => `${number}`));
  });

  test("nodes that it has lost are made again, with their state", async () => {
    await using server = await startProsody({ memory: true });
    await using world = await startBridge(server);
    await world.outcome({ channel: "a", text: "1", qos: 1, retain: true });
    await world.outcome({ channel: "b", text: "2", qos: 1, retain: true });
    await server.end("SIGKILL");
    await world.until("reconnecting");
    await server.start();
    await using alice = await connectClient(server, "alice");
    await expect.poll(async () => texts(await alice.items("a"))).toEqual(["current: 1"]);
    await expect.poll(async () => texts(await alice.items("b"))).toEqual(["current: 2"]);
  });

  test("state that it took last and has forgotten, though it has its node, is set and cleared again", async () => {
    const forgetful = 'default_storage = "memory"; storage = { pubsub_nodes = "internal" }';
    await using server = await startProsody({ morePubsub: forgetful });
    await using gw = await connectClient(server, "gw");
    await using world = await startBridge(server);
    await world.outcome({ channel: "a", text: "1", qos: 1, retain: true });
    await world.outcome({ channel: "b", text: "2", qos: 1, retain: true });
    await world.outcome({ channel: "b", text: "", qos: 1, retain: true });
    await server.end("SIGKILL");
    await world.until("reconnecting");
    await server.start();
    await expect.poll(async () => texts(await gw.items("a"))).toEqual(["current: 1"]);
    expect(await gw.items("b")).toEqual([]);
    expect(world.bridge.counts().nodes).toMatchObject({ created: 2, rebuilt: 0 });
  });

  test("a node that somebody deletes is made again for the next event, with its state", async () => {
    await using server = await startProsody({ memory: true });
    await using gw = await connectClient(server, "gw");
    await using world = await startBridge(server);
    await world.outcome({ channel: "a", text: "state", qos: 1, retain: true });
    await gw.delete("a");
    expect(await world.outcome({ channel: "a", text: "event", qos: 1 })).toBe("delivered");
    await expect.poll(async () => texts(await gw.items("a"))).toEqual(["event", "current: state"]);
    expect(world.bridge.counts().nodes?.rebuilt).toBe(1);
  });

  test("a stop does not wait for it, and what was not sent comes in the next run", async () => {
    const store = createMemoryStore();
    await using server = await startProsody();
    {
      await using world = await startBridge(server, { store });
      await world.outcome({ channel: "a", text: "0", qos: 1 });
      await server.end("SIGKILL");
      await world.until("reconnecting");
      await world.publish({ channel: "a", text: "1", qos: 1 });
    }
    await server.start();
    await using _world = await startBridge(server, { store });
    await using alice = await connectClient(server, "alice");
    await expect.poll(async () => texts(await alice.items("a"))).toEqual(["0", "1"]);
  });
});
