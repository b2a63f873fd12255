import { silentLog } from "@nomq/core";
import { expect, test } from "vitest";
import type { IqAnswer, Link } from "../../src/link/link.ts";
import { createFinding } from "../../src/nodes/finding.ts";
import { nodeOfChannel, titleOfChannel } from "../../src/nodes/node-name.ts";
import type { Element } from "../../src/stream/element.ts";
import { parsed } from "../parsed.ts";

const DISCO = "http://jabber.org/protocol/disco";

/** A service of nodes by title; undefined: it has none. */
function service(nodes: ReadonlyMap<string, string | undefined>): { link: Link; asked: string[] } {
  const asked: string[] = [];
  const request = async (iq: Element): Promise<IqAnswer> => {
    const query = iq.getChild("query");
    if (query === undefined)
      return { is: "result", stanza: parsed("<iq><pubsub xmlns='http://jabber.org/protocol/pubsub'/></iq>") };
    const { node } = query.attrs;
    if (node !== undefined) asked.push(node);
    const title = nodes.get(node ?? "");
    const inside =
      query.getNS() === `${DISCO}#items`
        ? [...nodes.keys()].map((each) => `<item node='${each}'/>`).join("")
        : title === undefined
          ? ""
          : `<x xmlns='jabber:x:data'><field var='pubsub#title'><value>${title}</value></field></x>`;
    return { is: "result", stanza: parsed(`<iq><query xmlns='${query.getNS()}'>${inside}</query></iq>`) };
  };
  // Only what finding uses of a link.
  return { link: { request, state: () => undefined } as unknown as Link, asked };
}

const long = (text: string): string => `long/${text.repeat(300)}`;
const hashed = (channel: string): [string, string | undefined] => [
  nodeOfChannel(channel),
  titleOfChannel(channel),
];

test("nodes with names that say nothing do not keep others from being asked for theirs", async () => {
  const hostile = Array.from({ length: 2_500 }, (_, at): [string, undefined] => [
    `h:${at.toString(16).padStart(64, "0")}`,
    undefined,
  ]);
  const { link, asked } = service(new Map([...hostile, hashed(long("a"))]));
  const finding = createFinding({ link, pubsub: "p", filters: ["long/#"], log: silentLog });
  const found = [];
  for (let look = 0; look < 4; look += 1)
    found.push([...(await finding.look("gw@h/r", { isFirst: look === 0 })).wanted.values()]);
  expect(found).toEqual([[], [], [long("a")], [long("a")]]);
  // At most a thousand each time, also once all have had their turn.
  expect(asked.length).toBeLessThanOrEqual(4_000);
});

test("nodes that are gone, and those that nobody asks for, take no room from others", async () => {
  const nodes = new Map<string, string | undefined>();
  const { link } = service(nodes);
  const finding = createFinding({ link, pubsub: "p", filters: ["long/#"], log: silentLog, mostNodes: 3 });
  const look = async (): Promise<readonly string[]> => [...(await finding.look("gw@h/r")).wanted.values()];
  for (let round = 0; round < 5; round += 1) {
    nodes.clear();
    for (let at = 0; at < 5; at += 1) nodes.set(...hashed(`other/${round}/${at}/${"x".repeat(300)}`));
    nodes.set(...hashed(long(String(round))));
    expect(await look()).toEqual([long(String(round))]);
  }
});

test("a long list of nodes is looked through in slices: others have their turns", async () => {
  const nodes = Array.from({ length: 50_000 }, (_, at): [string, undefined] => [`plant/${at}`, undefined]);
  const { link } = service(new Map(nodes));
  const finding = createFinding({ link, pubsub: "p", filters: ["none/#"], log: silentLog });
  let turns = 0;
  let isOver = false;
  const count = (): void => {
    turns += 1;
    if (!isOver) setImmediate(count);
  };
  setImmediate(count);
  const { isComplete } = await finding.look("gw@h/r");
  isOver = true;
  expect(isComplete).toBe(true);
  // The service of this test answers within the turn.
  expect(turns).toBeGreaterThan(0);
});
