import { silentLog, systemClock } from "@nomq/core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { describeWithPeers } from "../../../../test/peers.ts";
import { type Prosody, startProsody } from "../../../../test/real/prosody.ts";
import { formIn } from "../../src/nodes/config-form.ts";
import { createNodes, type NodesOptions } from "../../src/nodes/create-nodes.ts";
import { listNodes } from "../../src/nodes/listing.ts";
import { nodeOfChannel } from "../../src/nodes/node-name.ts";
import type { Nodes } from "../../src/nodes/nodes.ts";
import { element } from "../../src/stream/build.ts";
import { Namespace } from "../../src/stream/element.ts";
import { type Client, client, json, PUBSUB, publish, requests } from "../receiving/real-world.ts";

describeWithPeers("our nodes on a real Prosody", ["prosody"], () => {
  let server: Prosody;
  let gw: Client;
  let alice: Client;
  beforeAll(async () => {
    server = await startProsody({ memory: true });
    gw = await client(server.service, "gw");
    alice = await client(server.service, "alice");
  });
  afterAll(async () => {
    await alice[Symbol.asyncDispose]();
    await gw[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
  });

  const nodesOf = async (who: Client, more: Partial<NodesOptions> = {}): Promise<Nodes> => {
    const nodes = createNodes({
      link: who.link,
      pubsub: PUBSUB,
      clock: systemClock,
      log: silentLog,
      ...more,
    });
    expect(await nodes.begin()).toEqual({ is: "there", kind: "prosody" });
    return nodes;
  };
  const configOf = async (channel: string): Promise<Record<string, string>> => {
    const answer = await gw.done(requests.configuration(nodeOfChannel(channel)));
    const form = formIn(answer.getChild("pubsub", Namespace.pubsubOwner)?.getChild("configure"));
    return Object.fromEntries(form?.values ?? []);
  };

  test("a node begins with one item, sent to new subscribers, and is raised to the history once", async () => {
    const nodes = await nodesOf(gw);
    const state = { is: "ready", node: "n1", keeping: "state", items: 1, renews: true };
    expect(nodes.ready("n1", "state")).toBeUndefined();
    expect(await nodes.prepare("n1", "state")).toEqual(state);
    expect(nodes.ready("n1", "state")).toEqual(state);
    expect(nodes.ready("n1", "history")).toBeUndefined();
    expect(await configOf("n1")).toMatchObject({
      ...{ persist_items: "1", max_items: "1", send_last_published_item: "on_sub", notify_delete: "1" },
      ...{ access_model: "open", publish_model: "publishers", notification_type: "headline" },
    });
    const raised = { ...state, keeping: "history", items: 251 };
    expect(await nodes.prepare("n1", "history")).toEqual(raised);
    expect(await nodes.prepare("n1", "state")).toEqual(raised);
    expect(await configOf("n1")).toMatchObject({ max_items: "251", notification_type: "normal" });
    expect(nodes.counts()).toMatchObject({ known: 1, created: 1, configured: 1, failed: 0 });
    expect(nodes.problems()).toEqual([]);
  });

  test("a node of 300 bytes has its channel as title", async () => {
    const channel = `n2/${"ü".repeat(149)}`;
    const nodes = await nodesOf(gw);
    expect(await nodes.prepare(channel, "state")).toMatchObject({
      is: "ready",
      node: nodeOfChannel(channel),
    });
    expect((await configOf(channel))["title"]).toBe(channel);
    const listed = await listNodes({ requests, ask: gw.ask }, false);
    expect(listed.nodes.get(nodeOfChannel(channel))).toBe(channel);
  });

  test("after a restart of ours a node with a history stays one, whatever is asked for first", async () => {
    await (await nodesOf(gw)).prepare("n3", "history");
    const nodes = await nodesOf(gw);
    expect(await nodes.prepare("n3", "state")).toMatchObject({ keeping: "history", items: 251 });
    expect(nodes.counts()).toMatchObject({ created: 0, configured: 0 });
  });

  test("a history longer than the server allows is as long as it allows, and is said", async () => {
    const nodes = await nodesOf(gw, { history: 10_000 });
    expect(await nodes.prepare("n4", "history")).toMatchObject({ is: "ready", items: 256 });
    expect(nodes.problems()).toEqual([
      { node: "n4", reason: "max_items: 256 instead of 10001", since: expect.any(Number) },
    ]);
  });

  test("a node that somebody set up otherwise is set up again after a new session; one that has gone is made again", async () => {
    const nodes = await nodesOf(gw);
    for (const channel of ["n5", "n6", "n7"]) await nodes.prepare(channel, "state");
    const otherwise = element("x", { xmlns: Namespace.forms, type: "submit" }, [
      element("field", { var: "pubsub#publish_model" }, [element("value", {}, ["open"])]),
    ]);
    await gw.done(requests.configure("n5", otherwise));
    await gw.done(
      element("iq", { type: "set", to: PUBSUB }, [
        element("pubsub", { xmlns: Namespace.pubsubOwner }, [element("delete", { node: "n6" })]),
      ]),
    );
    await nodes.begin();
    expect(nodes.ready("n5", "state")).toBeUndefined();
    expect(await nodes.recheck()).toEqual(["n6"]);
    expect(nodes.ready("n5", "state")).toMatchObject({ is: "ready" });
    expect((await configOf("n5"))["publish_model"]).toBe("publishers");
    expect(nodes.counts()).toMatchObject({ created: 4, configured: 1, rebuilt: 1 });
  });

  test("members and publishers may what they may, and lose it when the configuration no longer names them", async () => {
    const access = { members: ["bob@localhost"], publishers: ["alice@localhost"] };
    await (await nodesOf(gw, { access })).prepare("n8", "state");
    await using bob = await client(server.service, "bob");
    expect(await alice.ask(publish("n8", "a", json("1")))).toMatchObject({ is: "result" });
    expect(await bob.ask(publish("n8", "b", json("1")))).toMatchObject({ condition: "forbidden" });
    expect(await bob.ask(requests.subscribe("n8", "bob@localhost/test"))).toMatchObject({ is: "result" });
    await (await nodesOf(gw, { access: { members: [] } })).prepare("n8", "state");
    expect(await alice.ask(publish("n8", "a", json("2")))).toMatchObject({ condition: "forbidden" });
    expect(await bob.ask(requests.items("n8", { most: 1 }))).toMatchObject({ is: "error" });
  });

  test("who may not create nodes is told so, and what node it was", async () => {
    const nodes = await nodesOf(alice);
    const failed = await nodes.prepare("n9", "state");
    expect(failed).toMatchObject({ is: "failed", answer: { is: "error", condition: "forbidden" } });
    expect(nodes.problems()).toMatchObject([{ node: "n9", reason: "forbidden" }]);
    expect(nodes.counts()).toMatchObject({ created: 0, failed: 1 });
  });

  test("no pubsub service there: absent, with the server's own word", async () => {
    const nodes = createNodes({ link: gw.link, pubsub: "localhost", clock: systemClock, log: silentLog });
    expect(await nodes.begin()).toMatchObject({ is: "absent" });
    const nobody = createNodes({ link: gw.link, pubsub: "not.there", clock: systemClock, log: silentLog });
    expect(await nobody.begin()).toMatchObject({ is: "absent" });
  });

  test("many nodes are made at once", async () => {
    const nodes = await nodesOf(gw);
    const many = process.env["NOMQ_LONG"] ? 2_000 : 100;
    const channels = Array.from({ length: many }, (_, n) => `many/${n}`);
    const ready = await Promise.all(channels.map((channel) => nodes.prepare(channel, "state")));
    expect(ready.filter(({ is }) => is === "ready")).toHaveLength(many);
    const listed = await listNodes({ requests, ask: gw.ask }, false);
    expect(channels.every((channel) => listed.nodes.has(channel))).toBe(true);
    expect(listed.missing).toBeUndefined();
  });
});
