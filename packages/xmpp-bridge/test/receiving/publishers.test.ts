import { createMemoryStore } from "@nomq/core";
import { expect, test } from "vitest";
import { describeWithPeers } from "../../../../test/peers.ts";
import { type Prosody, startProsody } from "../../../../test/real/prosody.ts";
import { element } from "../../src/stream/build.ts";
import { type Element, Namespace } from "../../src/stream/element.ts";
import {
  type Client,
  client,
  json,
  ours,
  PUBSUB,
  publish,
  receivingFrom,
  requests,
  retract,
  type World,
} from "./real-world.ts";

const ADMINS = ["gw@localhost", "alice@localhost", "bob@localhost"];
const start = (isTelling: boolean): Promise<Prosody> =>
  startProsody({ admins: ADMINS, memory: true, ...(isTelling && { morePubsub: "expose_publisher = true" }) });

/** An item whose publisher says who it would like to be. */
function publishAs(publisher: string, item: { node: string; id: string }, payload: Element): Element {
  return element("iq", { type: "set", to: PUBSUB }, [
    element("pubsub", { xmlns: Namespace.pubsub }, [
      element("publish", { node: item.node }, [element("item", { id: item.id, publisher }, [payload])]),
    ]),
  ]);
}

/** What a gateway named `g` is asked for, of whom only those may publish; `refused` is what it has refused by then. */
interface Asked extends World {
  readonly asked: string[];
  refused(): number;
}

async function gatewayFor(
  server: Prosody,
  allowed: readonly string[],
  more: Parameters<typeof receivingFrom>[1] = {},
): Promise<Asked> {
  const asked: string[] = [];
  const may = (who: string, action: string): boolean => {
    if (action === "publish") asked.push(who);
    return action !== "publish" || allowed.includes(who);
  };
  const world = await receivingFrom(server.service, {
    ...{ subscribe: ["n"], access: { access: { may } } },
    ...more,
  });
  await expect.poll(() => world.receiving.counts().subscribed).toBe(1);
  return { ...world, asked, refused: () => world.receiving.counts().refused["access"] ?? 0 };
}

const create = (who: Client): Promise<Element> => who.done(requests.create("n"));

describeWithPeers("who published, on a real Prosody", ["prosody", "openssl"], () => {
  test.each([
    { isTelling: true, who: "jid:alice@localhost" },
    { isTelling: false, who: "jid:pubsub.localhost" },
  ])("is what the service says, whatever the publisher writes: $who", async ({ isTelling, who }) => {
    await using server = await start(isTelling);
    await using alice = await client(server.service, "alice", "Phone");
    await create(alice);
    await alice.done(publishAs("bob@localhost", { node: "n", id: "current" }, json("1")));
    await using it = await gatewayFor(server, ["jid:bob@localhost"]);
    await expect.poll(() => it.refused()).toBe(1);
    await alice.done(publishAs("bob@localhost/phone", { node: "n", id: "e" }, json("2")));
    await expect.poll(() => it.refused()).toBe(2);
    expect(new Set(it.asked)).toEqual(new Set([who]));
    expect(it.texts()).toEqual([]);
  });

  test("an item with our own name that is not of our account is refused and counted as anybody's", async () => {
    await using server = await start(true);
    await using alice = await client(server.service);
    await create(alice);
    await using it = await gatewayFor(server, ["jid:bob@localhost"]);
    await alice.done(publish("n", "current", ours("forged", { gateway: "g", retain: true })));
    await expect.poll(() => it.refused()).toBe(1);
    await using bob = await client(server.service, "bob");
    await bob.done(publish("n", "e", ours("honest", { gateway: "g" })));
    await expect.poll(() => it.texts()).toEqual(["honest"]);
    expect(it.receiving.counts()).toMatchObject({ echoes: 0 });
  });

  test("another gateway's name does not hide who publishes, nor what that gateway says itself", async () => {
    await using server = await start(true);
    await using alice = await client(server.service);
    await using bob = await client(server.service, "bob");
    await create(alice);
    await using it = await gatewayFor(server, ["jid:bob@localhost"]);
    const said = { gateway: "other", retain: true };
    await alice.done(publish("n", "current", ours("21", said)));
    await expect.poll(() => it.refused()).toBe(1);
    await bob.done(publish("n", "current", ours("21", said)));
    await expect.poll(() => it.texts()).toEqual(["[21]"]);
    // The same again, of somebody else: refused, not taken for a repetition.
    await alice.done(publish("n", "current", ours("21", said)));
    await expect.poll(() => it.refused()).toBe(2);
    expect(it.texts()).toEqual(["[21]"]);
  });

  test("where the service does not say who it was, our own name only makes an item one that is not taken in", async () => {
    await using server = await start(false);
    await using alice = await client(server.service);
    await create(alice);
    await using it = await gatewayFor(server, ["jid:pubsub.localhost"]);
    await alice.done(publish("n", "e", ours("forged", { gateway: "g" })));
    await alice.done(publish("n", "e2", json("2")));
    await expect.poll(() => it.texts()).toEqual(["2"]);
    expect(it.receiving.counts()).toMatchObject({ echoes: 1, published: 1 });
  });

  test("a state that was refused does not stand in the way of the same one of somebody who may", async () => {
    await using server = await start(true);
    await using alice = await client(server.service);
    await using bob = await client(server.service, "bob");
    await create(alice);
    const store = createMemoryStore();
    {
      await using it = await gatewayFor(server, ["jid:bob@localhost"], { store });
      await alice.done(publish("n", "current", json('"on"')));
      await expect.poll(() => it.refused()).toBe(1);
    }
    await bob.done(publish("n", "current", json('"on"')));
    await using it = await gatewayFor(server, ["jid:bob@localhost"], { store });
    await expect.poll(() => it.texts()).toEqual(['["on"]']);
    expect(it.refused()).toBe(0);
  });

  test("an empty state clears in the name of its publisher, a retraction in the name of the service, which does not say whose it is", async () => {
    await using server = await start(true);
    await using alice = await client(server.service);
    await create(alice);
    const empty = element("text", { xmlns: Namespace.nomq });
    await using it = await gatewayFor(server, ["jid:alice@localhost"]);
    await alice.done(publish("n", "current", json("1")));
    await alice.done(publish("n", "current", empty));
    await alice.done(publish("n", "current", json("2")));
    await expect.poll(() => it.texts()).toEqual(["[1]", "[]", "[2]"]);
    await alice.done(retract("n", "current"));
    await expect.poll(() => it.refused()).toBe(1);
    expect(it.asked.at(-1)).toBe("jid:pubsub.localhost");
    expect(it.texts()).toEqual(["[1]", "[]", "[2]"]);
  });
});
