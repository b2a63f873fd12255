import { afterAll, beforeAll, expect, test } from "vitest";
import { describeWithPeers } from "../../../../test/peers.ts";
import { type Prosody, startProsody } from "../../../../test/real/prosody.ts";
import { submission } from "../../src/nodes/config-form.ts";
import { nodeOfChannel } from "../../src/nodes/node-name.ts";
import { element } from "../../src/stream/build.ts";
import { type Element, Namespace } from "../../src/stream/element.ts";
import { type Client, client, json, publish, receivingFrom, requests, retract } from "./real-world.ts";

const NOMQ = "urn:nomq:xmpp:0";
const said = (attributes: Record<string, string>, text = "x"): Element =>
  element("text", { xmlns: NOMQ, "xmlns:n": NOMQ, ...attributes }, [text]);
const deep = (levels: number): Element => {
  let inner = element("a", { xmlns: "urn:x" });
  for (let level = 0; level < levels; level += 1) inner = element("a", { xmlns: "urn:x" }, [inner]);
  return inner;
};
const numbered = (many: number, prefix = ""): Record<string, string> =>
  Object.fromEntries(Array.from({ length: many }, (_, at) => [`${prefix}b${at}`, "1"]));

/** How an item ends; `any`: the hub decides. */
type Fate = "any" | "echoes" | "expired" | "malformed" | "published" | "refused";

/** What somebody who may publish can put on a node, and how it is counted. */
const ITEMS: readonly [what: string, payload: Element, as: Fate][] = [
  ["JSON that is none", json("{"), "published"],
  ["base64 that is none", said({ "n:enc": "base64" }, "????"), "malformed"],
  ["100 levels", deep(100), "published"],
  ["5,000 attributes", element("a", { xmlns: "urn:x", ...numbered(5_000) }), "malformed"],
  ["quotes, each of which the server writes as six letters", said({}, '"'.repeat(240_000)), "published"],
  [
    "a namespace that the server writes again with each attribute",
    element("a", { xmlns: "urn:x", "xmlns:p": `urn:${"y".repeat(4_000)}`, ...numbered(900, "p:") }),
    "malformed",
  ],
  ["QoS 9, priority junk", said({ "n:qos": "9", "n:prio": "99", "n:retain": "7" }), "published"],
  ["a negative lifetime", said({ "n:ttl": "-1" }), "published"],
  ["a lifetime of 1e30", said({ "n:ttl": "1e30" }), "published"],
  ["the longest lifetime", said({ "n:ttl": "9007199254740991" }), "refused"],
  ["an end in the past", said({ "n:exp": "1" }), "expired"],
  ["our own name", said({ "n:gw": "g", "n:oid": "0".repeat(32) }), "echoes"],
  ["properties that are none", said({ "n:props": '[["a",1],[]]' }), "published"],
  ["a channel for answers that is none", said({ "n:resp": "a/#" }), "any"],
  ["a type of several lines", said({ "n:ct-64": Buffer.from("a\r\nb").toString("base64url") }), "any"],
  ["an origin that is as long as it likes", said({ "n:gw": "o", "n:oid": "z".repeat(100_000) }), "published"],
];

const create = (channel: string): Element =>
  requests.create(nodeOfChannel(channel), submission({ max_items: "250", persist_items: "1" }));

describeWithPeers("hostile publishers at a real Prosody", ["prosody"], () => {
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

  test.each(ITEMS)(
    "an item with %s costs that item only, told or found in the history",
    async (what, payload, as) => {
      const channel = `h/${ITEMS.findIndex(([each]) => each === what)}`;
      await alice.done(create(channel));
      await using it = await receivingFrom(server.service, { subscribe: [channel] });
      await expect.poll(() => it.receiving.counts().subscribed).toBe(1);
      await alice.done(publish(channel, "bad", payload));
      await alice.done(publish(channel, "good", json('"good"')));
      await expect.poll(() => it.texts(channel).at(-1)).toBe('"good"');
      const counts = it.receiving.counts();
      if (as === "published") expect(it.messages).toHaveLength(2);
      else if (as !== "any") expect(it.messages).toHaveLength(1);
      if (as === "refused") expect(Object.keys(counts.refused)).toEqual(["ttl-invalid"]);
      // Told and found in the history it is counted twice.
      else if (as !== "any") expect(counts[as]).toBeGreaterThan(0);
      expect(it.link.counts()).toMatchObject({ sessions: 1, attempts: 1, poisoned: 0 });
      // In the history of another gateway's outage.
      await using other = await receivingFrom(server.service, { subscribe: [channel], findEveryMs: 50_000 });
      await expect.poll(() => other.receiving.counts().subscribed).toBe(1);
      expect(other.link.counts()).toMatchObject({ poisoned: 0 });
    },
  );

  test("floods of items, retractions, nodes made and deleted leave a gateway that takes the next item", async () => {
    await alice.done(create("f/a"));
    await using it = await receivingFrom(server.service, { subscribe: ["f/#"] });
    await expect.poll(() => it.receiving.counts().subscribed).toBe(1);
    const all: Promise<unknown>[] = [];
    for (let n = 0; n < 300; n += 1) {
      all.push(alice.ask(publish("f/a", "current", json(String(n)))), alice.ask(retract("f/a", "current")));
      all.push(alice.ask(create("f/b")), alice.ask(publish("f/b", `e${n}`, json("1"))));
      all.push(alice.ask(requests.delete("f/b")));
    }
    await Promise.all(all);
    await alice.done(publish("f/a", "current", json('"last"')));
    await expect.poll(() => it.texts("f/a").at(-1)).toBe('["last"]');
    await expect.poll(() => it.receiving.counts().waiting).toBe(0);
    expect(it.link.counts()).toMatchObject({ sessions: 1, attempts: 1 });
  });

  test("nodes with names that are no channels are no channels of ours", async () => {
    const names = ["$SYS/x", "a/+", "#", "\u202e", "x".repeat(240), "a//b", "h:0", `h:${"0".repeat(64)}`];
    for (const node of names) await alice.ask(requests.create(node));
    await using it = await receivingFrom(server.service, { subscribe: ["#"] });
    await expect.poll(() => it.receiving.counts().subscribed).toBeGreaterThan(2);
    for (const node of names)
      await alice.ask(
        element("iq", { type: "set", to: "pubsub.localhost" }, [
          element("pubsub", { xmlns: Namespace.pubsub }, [
            element("publish", { node }, [element("item", { id: "current" }, [json(JSON.stringify(node))])]),
          ]),
        ]),
      );
    await expect.poll(() => it.texts("a//b")).toEqual(['["a//b"]']);
    const channels = new Set(it.messages.map(({ channel }) => channel));
    for (const none of ["$SYS/x", "a/+", "#", `h:${"0".repeat(64)}`]) expect(channels).not.toContain(none);
  });
});
