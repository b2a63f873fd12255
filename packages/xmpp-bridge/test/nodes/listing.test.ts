import { expect, test } from "vitest";
import type { IqAnswer } from "../../src/link/link.ts";
import { listNodes, listSubscriptions } from "../../src/nodes/listing.ts";
import { requestsTo } from "../../src/nodes/pubsub-request.ts";
import type { Element } from "../../src/stream/element.ts";
import { parsed } from "../parsed.ts";

const requests = requestsTo("pubsub.test");
const DISCO = "http://jabber.org/protocol/disco#items";
const RSM = "http://jabber.org/protocol/rsm";
const page = (nodes: readonly string[], last?: string): IqAnswer => ({
  is: "result",
  stanza: parsed(
    `<iq type='result'><query xmlns='${DISCO}'>${nodes.map((node) => `<item jid='pubsub.test' node='${node}' name='${node}'/>`).join("")}${
      last === undefined ? "" : `<set xmlns='${RSM}'><first>x</first><last>${last}</last></set>`
    }</query></iq>`,
  ),
});
const numbered = (many: number, from = 0): string[] => Array.from({ length: many }, (_, n) => `n${from + n}`);

test("exactly a hundred nodes without pages: ejabberd may have cut the list, which is said", async () => {
  const listing = await listNodes({ requests, ask: async () => page(numbered(100)) }, false);
  expect(listing.nodes.size).toBe(100);
  expect(listing.missing).toBe("cut-at-100");
  const short = await listNodes({ requests, ask: async () => page(numbered(99)) }, false);
  expect(short.missing).toBeUndefined();
});

test("pages are asked for one after the other (XEP-0059), and a service that repeats itself does not hold us", async () => {
  const asked: string[] = [];
  const ask = async (iq: Element): Promise<IqAnswer> => {
    const after = /<after>(.*?)<\/after>/.exec(iq.toString())?.[1];
    asked.push(after ?? "first");
    if (after === undefined) return page(numbered(200), "n199");
    return page(numbered(50, 200), "n249");
  };
  const listing = await listNodes({ requests, ask }, true);
  expect(listing.nodes.size).toBe(250);
  expect(listing.missing).toBeUndefined();
  expect(asked).toEqual(["first", "n199", "n249"]);
});

test("a service whose pages never end, each with a little that is new, is left, and that is said", async () => {
  let asked = 0;
  const ask = async (): Promise<IqAnswer> => {
    asked += 1;
    return page([`n${asked}`], `n${asked}`);
  };
  const listing = await listNodes({ requests, ask }, true);
  expect(asked).toBe(2_000);
  expect(listing.missing).toBe("cut-at-2000");
});

test("more nodes than are read are not taken for all", async () => {
  const listing = await listNodes({ requests, ask: async () => page(numbered(100_001)) }, false);
  expect(listing).toMatchObject({ missing: "cut-at-100000", nodes: { size: 100_000 } });
});

test("what a service refuses to list is said with its word", async () => {
  const ask = async (): Promise<IqAnswer> => ({ is: "error", type: "auth", condition: "forbidden" });
  expect(await listNodes({ requests, ask }, false)).toMatchObject({ missing: "forbidden" });
  expect(await listSubscriptions({ requests, ask })).toBeUndefined();
});

test("subscriptions: those in force, with the ids that ejabberd gives them", async () => {
  const stanza = parsed(
    `<iq type='result'><pubsub xmlns='http://jabber.org/protocol/pubsub'><subscriptions>
    <subscription node='a' jid='gw@test/nomq' subscription='subscribed' subid='5B1'/>
    <subscription node='b' jid='gw@test/nomq' subscription='pending'/>
    <subscription jid='gw@test/nomq' subscription='subscribed'/>
    <subscription node='c' jid='gw@test/other' subscription='subscribed'/></subscriptions></pubsub></iq>`,
  );
  const found = await listSubscriptions({ requests, ask: async () => ({ is: "result", stanza }) });
  expect(found).toEqual([
    { node: "a", jid: "gw@test/nomq", subid: "5B1" },
    { node: "c", jid: "gw@test/other" },
  ]);
});
