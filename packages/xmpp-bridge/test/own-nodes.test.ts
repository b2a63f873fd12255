import type { Port } from "@nomq/core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { describeWithPeers } from "../../../test/peers.ts";
import { type Prosody, startProsody } from "../../../test/real/prosody.ts";
import { element } from "../src/stream/build.ts";
import { type Element, Namespace } from "../src/stream/element.ts";
import { startBridge } from "./bridge-world.ts";
import { connectClient, type PubsubClient } from "./pubsub-client.ts";

const text = (words: string): Element => element("text", { xmlns: Namespace.nomq }, [words]);

/** What others publish, as `CHANNEL TEXT`. */
async function watch(port: Port): Promise<readonly string[]> {
  const seen: string[] = [];
  await port.attach({
    ...{ name: "watch", as: "*", durable: false, filters: ["#"] },
    deliver: async ({ channel, origin, payload }) => {
      if (origin.startsWith("xmpp:")) seen.push(`${channel} ${Buffer.from(payload).toString()}`);
      return { is: "delivered" };
    },
  });
  return seen;
}

describeWithPeers("nodes that the gateway makes and reads, on a real Prosody", ["prosody"], () => {
  let server: Prosody;
  let alice: PubsubClient;
  let gw: PubsubClient;
  beforeAll(async () => {
    server = await startProsody({ memory: true, admins: ["gw@localhost", "alice@localhost"] });
    alice = await connectClient(server, "alice");
    gw = await connectClient(server, "gw");
  });
  afterAll(async () => {
    for (const each of [alice, gw, server]) await each[Symbol.asyncDispose]();
  });

  test("one just made is read at once, and so is one made again", async () => {
    await alice.create("b/there");
    const options = { publish: ["b/#"], subscribe: ["b/#"], access: { publishers: ["alice@localhost"] } };
    await using world = await startBridge(server, options);
    const seen = await watch(world.port);
    const subscribed = (): number => world.bridge.counts().receiving?.subscribed ?? 0;
    // The first look for nodes is over; the next is a minute away.
    await expect.poll(subscribed).toBe(1);
    const draft = { channel: "b/new", text: "mine", qos: 1, retain: true } as const;
    expect(await world.outcome(draft)).toBe("delivered");
    await expect.poll(subscribed).toBe(2);
    expect(await alice.publish("b/new", "e1", text("hers"))).toMatchObject({ is: "result" });
    await expect.poll(() => seen).toEqual(["b/new hers"]);
    await gw.delete("b/new");
    // The end of the node was the end of its state.
    await expect.poll(() => seen).toEqual(["b/new hers", "b/new "]);
    expect(await world.outcome({ ...draft, text: "mine again" })).toBe("delivered");
    expect(await alice.publish("b/new", "e2", text("hers again"))).toMatchObject({ is: "result" });
    await expect.poll(() => seen).toEqual(["b/new hers", "b/new ", "b/new hers again"]);
    expect(world.bridge.counts().receiving).toMatchObject({ published: 2, cleared: 1, gaps: 0 });
  });

  test("one that is not asked for is not read", async () => {
    await using world = await startBridge(server, { publish: ["c/#", "d/#"], subscribe: ["d/+"] });
    await world.until("ready");
    expect(await world.outcome({ channel: "c/one", text: "1", qos: 1 })).toBe("delivered");
    expect(await world.outcome({ channel: "d/one", text: "1", qos: 1 })).toBe("delivered");
    await expect.poll(() => world.bridge.counts().receiving?.subscribed).toBe(1);
    expect(world.bridge.counts().receiving).toMatchObject({ unwanted: 0, published: 0 });
  });
});
