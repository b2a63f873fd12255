import { expect, test } from "vitest";
import { item, jsonXml, scripted } from "./scripted-world.ts";

test("ejabberd tells of an evicted state as of a retracted one: the server is asked before anything is cleared", async () => {
  await using it = await scripted("n");
  it.nodes.get("n")?.set("current", jsonXml("1"));
  it.online(false);
  await it.clock.advance(0);
  expect(it.texts).toEqual(["[1]"]);
  // Evicted, and published again by its owner before our question arrives.
  it.tell("n", "<retract id='current'/>");
  await it.clock.advance(0);
  expect(it.texts).toEqual(["[1]"]);
  it.tell("n", "<retract id='e1'/>");
  it.nodes.get("n")?.delete("current");
  it.tell("n", "<retract id='current'/>");
  await it.clock.advance(0);
  expect(it.texts).toEqual(["[1]", "[]"]);
  expect(it.receiving.counts()).toMatchObject({ evicted: 1, cleared: 1 });
});

test("a state that was retracted and set again several times while the gateway was busy goes through them in order", async () => {
  await using it = await scripted("n");
  it.nodes.get("n")?.set("current", jsonXml("1"));
  it.online(false);
  await it.clock.advance(0);
  it.nodes.get("n")?.set("current", jsonXml("3"));
  it.tell("n", "<retract id='current'/>");
  for (const value of ["2", "3"]) it.tell("n", item("current", value));
  await it.clock.advance(0);
  expect(it.texts).toEqual(["[1]", "[2]", "[3]"]);
});

test("a resumed session asks nothing; a new one reads what was missed before what is told", async () => {
  await using it = await scripted("n");
  it.online(false);
  await it.clock.advance(0);
  it.tell("n", item("e1", "1"));
  await it.clock.advance(0);
  const before = it.asked.length;
  it.online(true);
  await it.clock.advance(0);
  expect(it.asked.length).toBe(before);
  for (const n of ["1", "2", "3"]) it.nodes.get("n")?.set(`e${n}`, jsonXml(n));
  it.online(false);
  it.nodes.get("n")?.set("e4", jsonXml("4"));
  it.tell("n", item("e4", "4"));
  it.tell("n", item("e5", "5"));
  await it.clock.advance(0);
  expect(it.texts).toEqual(["1", "2", "3", "4", "5"]);
  expect(it.receiving.counts()).toMatchObject({ caughtUp: 3, duplicates: 1, gaps: 0 });
});

test("a node is remembered before it is subscribed: after a crash what came since is news, not history", async () => {
  await using it = await scripted("n", "m");
  it.nodes.get("n")?.set("e1", jsonXml("1"));
  it.online(false);
  await it.clock.advance(0);
  for (const node of ["n", "m"]) {
    const at = it.asked.indexOf(`subscribe ${node}`);
    expect(it.asked.slice(it.asked.indexOf(`items ${node}`), at)).toContain("remember");
  }
});

test("gaps are counted, and said once in each session, however many nodes have one", async () => {
  await using it = await scripted("n", "m");
  it.online(false);
  await it.clock.advance(0);
  const outage = async (text: string): Promise<void> => {
    for (const [node, items] of it.nodes) {
      it.tell(node, item(`${node}${text}`, text));
      await it.clock.advance(0);
      items.clear();
      items.set(`${node}${text}later`, jsonXml(`${text}1`));
    }
    it.online(false);
    await it.clock.advance(0);
  };
  await outage("1");
  expect(it.receiving.counts().gaps).toBe(2);
  expect(it.warned).toEqual([expect.stringMatching(/^items of an XMPP node are missing: .*"node":"[nm]"/)]);
  await outage("2");
  expect(it.receiving.counts().gaps).toBe(4);
  expect(it.warned).toHaveLength(2);
  expect(it.texts.toSorted()).toEqual(["1", "1", "11", "11", "2", "2", "21", "21"]);
});

test("what is published while a long history is read comes behind it", async () => {
  await using it = await scripted("n");
  it.nodes.get("n")?.set("e0", jsonXml("0"));
  it.online(false);
  await it.clock.advance(0);
  const numbers = Array.from({ length: 40 }, (_, at) => String(at + 1));
  for (const number of numbers) it.nodes.get("n")?.set(`e${number}`, jsonXml(number));
  it.onAsk = (what) => {
    if (what !== "query n") return;
    it.nodes.get("n")?.set("e41", jsonXml("41"));
    it.tell("n", item("e41", "41"));
    // Evicted between the two answers.
    for (const old of ["e0", "e1"]) it.nodes.get("n")?.delete(old);
  };
  it.online(false);
  await it.clock.advance(0);
  expect(it.texts).toEqual([...numbers.slice(1), "41"]);
});

test("nodes that the service lost, subscriptions and all, are subscribed again; a state that went with them is cleared", async () => {
  await using it = await scripted("n");
  it.nodes.get("n")?.set("current", jsonXml("1"));
  it.online(false);
  await it.clock.advance(0);
  it.subscribed.clear();
  it.nodes.get("n")?.clear();
  it.online(false);
  await it.clock.advance(0);
  expect(it.texts).toEqual(["[1]", "[]"]);
  expect([...it.subscribed]).toEqual(["n"]);
  it.nodes.delete("n");
  it.subscribed.clear();
  await it.clock.advance(60_000);
  expect(it.receiving.counts().subscribed).toBe(0);
});

test("a node that we make while a look for nodes has listed the others already stays; gone, it is left by the next", async () => {
  await using it = await scripted("n");
  it.online(false);
  await it.clock.advance(0);
  it.onAsk = (what) => {
    if (what !== "subscriptions" || it.nodes.has("m")) return;
    it.nodes.set("m", new Map([["e1", jsonXml("1")]]));
    it.receiving.made("m");
  };
  await it.clock.advance(60_000);
  expect(it.texts).toEqual(["1"]);
  expect(it.receiving.counts().subscribed).toBe(2);
  it.onAsk = () => undefined;
  it.nodes.delete("m");
  it.subscribed.delete("m");
  await it.clock.advance(60_000);
  expect(it.receiving.counts().subscribed).toBe(1);
});

test("when the hub is slower than the server, notifications are put aside and read from the history later", async () => {
  await using it = await scripted("n");
  it.online(false);
  await it.clock.advance(0);
  it.tell("n", item("e0", "0"));
  await it.clock.advance(0);
  it.hub = "hangs";
  const many = 2_500;
  for (let n = 1; n <= many; n += 1) {
    it.nodes.get("n")?.set(`e${n}`, jsonXml(String(n)));
    it.tell("n", item(`e${n}`, String(n)));
  }
  await it.clock.advance(0);
  expect(it.receiving.counts().waiting).toBeLessThanOrEqual(2_000);
  it.release();
  for (let turn = 0; turn < 50 && it.texts.length < many; turn += 1) await it.clock.advance(10);
  expect(new Set(it.texts).size).toBe(many + 1);
  expect(it.receiving.counts().overflowed).toBeGreaterThan(0);
  expect(it.texts.at(-1)).toBe(String(many));
});

test("items that cannot be read, and nodes that nobody asked for, are counted and no more", async () => {
  await using it = await scripted("n");
  it.online(false);
  await it.clock.advance(0);
  it.tell("n", "<item id='a'/>");
  it.tell("n", `<item id='b'>${jsonXml("1")}${jsonXml("2")}</item>`);
  it.tell("n", `<item>${jsonXml("1")}</item>`);
  it.tell(
    "n",
    "<item id='c'><data xmlns='urn:nomq:xmpp:0' xmlns:n='urn:nomq:xmpp:0' n:enc='base64'>%%</data></item>",
  );
  it.tell("other", item("d", "1"));
  await it.clock.advance(0);
  expect(it.texts).toEqual([]);
  expect(it.receiving.counts()).toMatchObject({ malformed: 4, unwanted: 1, received: 4 });
});

test("stopped in the middle of everything it leaves no timer", async () => {
  const it = await scripted("a", "b", "c");
  it.online(false);
  it.tell("a", item("e", "1"));
  await it[Symbol.asyncDispose]();
  expect(it.clock.pending()).toBe(0);
});

test("large items that wait for a slow hub are bounded by what they hold, and read from the history later", async () => {
  await using it = await scripted("n");
  it.online(false);
  await it.clock.advance(0);
  it.hub = "hangs";
  const large = "x".repeat(1_000_000);
  for (let n = 1; n <= 60; n += 1) {
    const value = `"${n}${large}"`;
    it.nodes.get("n")?.set(`e${n}`, jsonXml(value));
    it.tell("n", item(`e${n}`, value));
    await it.clock.advance(0);
  }
  const { overflowed, waiting } = it.receiving.counts();
  expect(waiting).toBeLessThan(10);
  expect(overflowed).toBeGreaterThan(10);
  it.release();
  await it.clock.advance(1_000);
  const seen = it.texts.map((text) => Number(/^"(\d+)x/.exec(text)?.[1]));
  expect(seen.toSorted((one, other) => one - other)).toEqual(Array.from({ length: 60 }, (_, at) => at + 1));
});

test("nodes whose items the service cannot tell do not keep others from being read, and are said", async () => {
  const mute = Array.from({ length: 12 }, (_, at) => `mute${at}`);
  await using it = await scripted(...mute, "n");
  for (const node of mute) it.unanswered.add(`items ${node}`);
  it.nodes.get("n")?.set("current", jsonXml("1"));
  it.online(false);
  await it.clock.advance(60_000);
  expect(it.texts).toEqual(["[1]"]);
  expect(it.receiving.problems()).toContain("mute0: unanswered");
  it.unanswered.clear();
  await it.clock.advance(120_000);
  expect(it.receiving.counts().subscribed).toBe(13);
  expect(it.receiving.problems()).toEqual([]);
});

test("what is for another session of the account is left to it", async () => {
  await using it = await scripted("n");
  it.online(false);
  await it.clock.advance(0);
  it.tell("n", item("e1", "1"), " to='gw@h/r'");
  it.tell("n", item("e2", "2"), " to='gw@h/nomq-lost'");
  it.tell("n", item("e3", "3"), " to='gw@h'");
  it.tell("n", item("e4", "4"));
  await it.clock.advance(0);
  expect(it.texts).toEqual(["1", "3", "4"]);
  expect(it.receiving.counts().unwanted).toBe(1);
});

test.each(["<delete node='n'/>", "<purge node='n'/>"])(
  "%s clears the state that lay there, and not one that was set in the hub meanwhile: it lies on what is there now",
  async (end) => {
    await using it = await scripted("n");
    it.nodes.get("n")?.set("current", jsonXml("1"));
    it.online(false);
    await it.clock.advance(0);
    await it.setInHub("n", "2");
    it.tellOf(end);
    await it.clock.advance(0);
    expect(it.texts).toEqual(["[1]"]);
    it.tell("n", item("current", "3"));
    await it.clock.advance(60_000);
    it.tell("n", item("current", "2"));
    await it.clock.advance(0);
    it.tellOf(end);
    await it.clock.advance(0);
    expect(it.texts.at(-1)).toBe("[]");
  },
);
