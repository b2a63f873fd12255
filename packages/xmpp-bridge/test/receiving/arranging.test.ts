import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { item, jsonXml, type Scripted, scripted } from "./scripted-world.ts";

const MANY = 100;
const names = Array.from({ length: MANY }, (_, at) => `n${at}`);
const last = `n${MANY - 1}`;

beforeEach(() => {
  // A machine so slow that every piece of work fills its slice.
  let now = 0;
  vi.spyOn(performance, "now").mockImplementation(() => (now += 10));
});
afterEach(() => void vi.restoreAllMocks());

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const rest = async ({ clock }: Scripted): Promise<void> => {
  for (let count = 0; count < 100; count += 1) await clock.advance(0);
};
/** Turns, until some of those that the service says are subscribed have been arranged, and not all. */
async function inTheMiddle({ receiving }: Scripted): Promise<void> {
  for (let count = 0; count < 10_000; count += 1) {
    const { subscribed } = receiving.counts();
    if (subscribed > 0 && subscribed < MANY) return;
    await turn();
  }
  throw new Error("all were arranged in one turn");
}

/** A service that has all of the nodes, each with our subscription. */
async function subscribedWorld(): Promise<Scripted> {
  const it = await scripted(...names);
  for (const name of names) it.subscribed.add(name);
  return it;
}

test("many nodes are arranged in slices: others have their turns", async () => {
  await using it = await subscribedWorld();
  it.online(false);
  const seen = new Set<number>();
  for (let count = 0; count < 2_000; count += 1) {
    seen.add(it.receiving.counts().subscribed);
    await turn();
  }
  expect(seen.size).toBeGreaterThan(3);
  expect(seen).toContain(MANY);
});

test("a session that ends while nodes are arranged: what it had subscribed is subscribed anew, and nothing comes twice", async () => {
  await using it = await subscribedWorld();
  it.online(false);
  await inTheMiddle(it);
  it.subscribed.clear();
  for (const name of names) it.nodes.get(name)?.set("e1", jsonXml(`"${name}"`));
  it.online(false);
  await rest(it);
  expect([...it.subscribed].toSorted()).toEqual(names.toSorted());
  for (const name of names) it.tell(name, item("e2", `"${name} later"`));
  await rest(it);
  const later = names.map((name) => `"${name} later"`);
  expect(it.texts.filter((text) => text.includes("later")).toSorted()).toEqual(later.toSorted());
  expect(it.texts.length).toBe(new Set(it.texts).size);
});

test("nodes made since the look before are read from their first item, also where a session ended while they were arranged", async () => {
  await using it = await scripted("old");
  it.online(false);
  await rest(it);
  for (const name of names) it.nodes.set(name, new Map([["e1", jsonXml(`"${name}"`)]]));
  for (const name of names) it.subscribed.add(name);
  const looking = it.clock.advance(60_000);
  await inTheMiddle(it);
  it.online(false);
  await looking;
  await rest(it);
  expect(it.texts.toSorted()).toEqual(names.map((name) => `"${name}"`).toSorted());
});

test("a node that we have made anew while others are arranged is subscribed anew", async () => {
  await using it = await subscribedWorld();
  it.online(false);
  await inTheMiddle(it);
  // The subscription that was listed went with the node.
  it.subscribed.delete(last);
  it.nodes.set(last, new Map([["e1", jsonXml("1")]]));
  it.receiving.made(last);
  await rest(it);
  expect(it.texts).toEqual(["1"]);
  expect(it.subscribed).toContain(last);
});

test("a node that is deleted while others are arranged is left", async () => {
  await using it = await subscribedWorld();
  it.online(false);
  await inTheMiddle(it);
  it.nodes.delete("n0");
  it.subscribed.delete("n0");
  it.tellOf(`<delete node='n0'/>`);
  await rest(it);
  expect(it.receiving.counts().subscribed).toBe(MANY - 1);
});

test("stopped while nodes are arranged it leaves no timer, and begins nothing more", async () => {
  const it = await subscribedWorld();
  it.online(false);
  await inTheMiddle(it);
  const { subscribed } = it.receiving.counts();
  await it[Symbol.asyncDispose]();
  await rest(it);
  expect(it.receiving.counts().subscribed).toBe(subscribed);
  expect(it.clock.pending()).toBe(0);
});
