import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { foreignXml, gatewayXml, type RestartWorld, restartWorld } from "./restart-world.ts";

const isLong = process.env["NOMQ_LONG"] !== undefined;

type Step =
  | { readonly do: "event" | "state"; readonly by: "anyone" | "gateway" }
  | { readonly do: "retract" | "reborn" | "session" | "fail" | "heal" }
  | { readonly do: "turns"; readonly many: number }
  | { readonly do: "wait"; readonly ms: number }
  | { readonly do: "crash"; readonly last: "in" | "out"; readonly away: number }
  | { readonly do: "stop"; readonly away: number };

const by = fc.constantFrom("anyone" as const, "gateway" as const);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ do: fc.constant("event" as const), by }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("state" as const), by }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom("retract", "reborn", "session") }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom("fail", "heal") }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant("turns" as const), many: fc.nat(12) }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant("wait" as const), ms: fc.constantFrom(0, 499, 600, 61_000) }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("crash" as const),
      last: fc.constantFrom("in" as const, "out" as const),
      away: fc.nat(3),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("stop" as const), away: fc.nat(20) }) },
);

/** Plays steps on one node, and notes which events the gateway must have once. */
class Play {
  readonly due: string[] = [];
  /** Of a node that was deleted, or from before it was ours: once at most. */
  readonly excused: string[] = [];
  private numbers = 0;
  private isOurs = false;
  private readonly it: RestartWorld;

  constructor(it: RestartWorld) {
    this.it = it;
  }

  private event(who: "anyone" | "gateway"): void {
    this.numbers += 1;
    const text = String(this.numbers);
    this.isOurs ||= this.it.nodes.get("n")?.isSubscribed === true;
    (this.isOurs ? this.due : this.excused).push(text);
    this.it.publish("n", `e${text}`, who === "anyone" ? foreignXml(text) : gatewayXml(text));
  }

  private async awayFor(events: number): Promise<void> {
    for (let n = 0; n < events; n += 1) this.event("anyone");
    await this.it.start();
    this.it.online();
  }

  async take(next: Step): Promise<void> {
    const { it } = this;
    switch (next.do) {
      case "event":
        return this.event(next.by);
      case "state": {
        this.numbers += 1;
        const text = `${this.numbers}`;
        return it.publish("n", "current", next.by === "anyone" ? foreignXml(text) : gatewayXml(text));
      }
      case "retract":
        return it.retract("n", "current");
      case "reborn":
        this.excused.push(...this.due.splice(0));
        it.delete("n");
        it.create("n");
        return undefined;
      case "session":
        it.offline();
        this.event("anyone");
        it.online();
        return undefined;
      case "fail":
        return it.store.fail();
      case "heal":
        return it.store.heal();
      case "turns":
        return it.turns(next.many);
      case "wait":
        return it.clock.advance(next.ms);
      case "crash":
        it.crash(next.last);
        return this.awayFor(next.away);
      case "stop":
        it.store.heal();
        await it.stop();
        return this.awayFor(next.away);
    }
  }
}

describe("a gateway that is killed at any moment", () => {
  test("has every event since it subscribed once, and the state that the node has", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        await using it = await restartWorld("n");
        const play = new Play(it);
        it.publish("n", "old", foreignXml('"old"'));
        it.online();
        for (const each of steps) await play.take(each);
        it.store.heal();
        await it.rest();
        const events = it.texts("n").filter((text) => !text.startsWith("["));
        expect(new Set(events).size, `twice: ${events.join()}`).toBe(events.length);
        expect(events.map(Number)).toEqual(events.map(Number).toSorted((one, other) => one - other));
        expect(play.due.filter((text) => !events.includes(text))).toEqual([]);
        expect(events.filter((text) => ![...play.due, ...play.excused].includes(text))).toEqual([]);
        const state = it.nodes.get("n")?.items.get("current");
        expect(await it.latest("n")).toBe(state && />(.*)</.exec(state)?.[1]);
      }),
      { numRuns: isLong ? 3_000 : 120 },
    );
  });
});

describe("what a node held when we came to it", () => {
  test("is old once it is remembered, and news before that: a kill changes neither", async () => {
    for (const turns of Array.from({ length: 20 }, (_, n) => n)) {
      await using it = await restartWorld("n");
      it.publish("n", "old", foreignXml("0"));
      it.online();
      await it.turns(turns);
      it.crash("out");
      const wasSubscribed = it.nodes.get("n")?.isSubscribed === true;
      it.publish("n", "new", foreignXml("1"));
      await it.start();
      it.online();
      await it.rest();
      expect(it.texts("n").filter((text) => text === "0")).toEqual([]);
      if (wasSubscribed) expect(it.texts("n")).toEqual(["1"]);
    }
  });

  test("a node that cannot be remembered is not subscribed until it can", async () => {
    await using it = await restartWorld("n");
    it.store.fail();
    it.online();
    await it.clock.advance(1_000);
    expect(it.nodes.get("n")?.isSubscribed).toBe(false);
    it.store.heal();
    await it.clock.advance(15_000);
    expect(it.nodes.get("n")?.isSubscribed).toBe(true);
    it.publish("n", "e", foreignXml("1"));
    await it.rest();
    expect(it.texts("n")).toEqual(["1"]);
  });

  test("a node made while we run has nothing that is old, however late it is found", async () => {
    await using it = await restartWorld("n");
    it.online();
    await it.rest();
    it.create("later");
    for (const n of ["1", "2"]) it.publish("later", `e${n}`, foreignXml(n));
    await it.rest();
    expect(it.texts("later")).toEqual(["1", "2"]);
  });

  test("a node deleted and made again is new, over a kill too", async () => {
    await using it = await restartWorld("n");
    it.online();
    await it.rest();
    it.publish("n", "e1", foreignXml("1"));
    it.publish("n", "current", foreignXml("2"));
    await it.clock.advance(1_000);
    it.delete("n");
    await it.clock.advance(1_000);
    expect(await it.latest("n")).toBeUndefined();
    it.create("n");
    it.publish("n", "e1", foreignXml("1"));
    it.publish("n", "e2", foreignXml("3"));
    it.crash("in");
    await it.start();
    it.online();
    await it.rest();
    expect(it.texts("n")).toEqual(["1", "[2]", "[]", "1", "3"]);
    expect(it.receiving.counts().gaps).toBe(0);
  });
});

describe("a state of ours that a node has no more", () => {
  /** The gateway's own state lies on the node, and it has seen that. */
  async function owned(...before: readonly string[]): Promise<RestartWorld> {
    const it = await restartWorld("n");
    it.online();
    await it.rest();
    for (const text of before) it.publish("n", `e${text}`, foreignXml(text));
    const value = await it.set("n", "mine");
    it.publish("n", "current", gatewayXml("mine", "g", value?.id));
    await it.clock.advance(1_000);
    it.offline();
    return it;
  }

  test("is none any more where somebody took it back while we were away", async () => {
    for (const before of [[], ["1"]]) {
      await using it = await owned(...before);
      it.retract("n", "current");
      it.publish("n", "e2", foreignXml("2"));
      if (before.length === 0) it.retract("n", "e2");
      it.online();
      await it.rest();
      expect(await it.latest("n")).toBeUndefined();
    }
  });

  test("belongs there where events of others have pushed it out: it is published again", async () => {
    await using it = await owned("1");
    it.history = 3;
    for (const n of ["2", "3", "4"]) it.publish("n", `e${n}`, foreignXml(n));
    expect(it.nodes.get("n")?.items.has("current")).toBe(false);
    it.online();
    await it.rest();
    expect(await it.latest("n")).toBe("mine");
    expect(it.evicted).toEqual(["n"]);
  });

  test("is what the hub says where that has another by now, or the node is another", async () => {
    await using it = await owned();
    it.retract("n", "current");
    await it.set("n", "newer");
    it.online();
    await it.rest();
    expect(await it.latest("n")).toBe("newer");
    await using lost = await owned();
    lost.delete("n");
    lost.create("n");
    lost.online();
    await lost.rest();
    expect(await lost.latest("n")).toBe("mine");
  });
});

test("a state that came to its end at the server clears the one before it", async () => {
  await using it = await restartWorld("n");
  it.online();
  await it.rest();
  it.publish("n", "current", foreignXml("1"));
  await it.clock.advance(1_000);
  it.offline();
  it.publish("n", "current", `<text xmlns='urn:nomq:xmpp:0' exp='${it.clock.now() - 1}'>2</text>`);
  it.online();
  await it.rest();
  expect(await it.latest("n")).toBeUndefined();
  expect(it.receiving.counts()).toMatchObject({ expired: 1, cleared: 1 });
});

test("items with ids of any length come once, whatever becomes of the session", async () => {
  await using it = await restartWorld("n");
  it.online();
  await it.rest();
  const id = "x".repeat(1_000);
  it.publish("n", `${id}1`, foreignXml("1"));
  for (let session = 0; session < 3; session += 1) {
    it.offline();
    it.online();
    await it.rest();
  }
  it.crash("in");
  await it.start();
  it.online();
  await it.rest();
  expect(it.texts("n")).toEqual(["1"]);
});

test("killed before a long history is read, it has what was read so far, and goes on from there", async () => {
  await using it = await restartWorld("n");
  it.publish("n", "e0", foreignXml("0"));
  it.online();
  await it.rest();
  it.offline();
  const texts = Array.from({ length: 300 }, (_, n) => String(n + 1));
  for (const text of texts) it.publish("n", `e${text}`, foreignXml(text));
  let lives = 0;
  // Each is too short for all of it.
  for (; lives < 20 && it.texts("n").length < texts.length; lives += 1) {
    it.online();
    await it.turns(10);
    // What was seen is written now and then.
    await it.clock.advance(600);
    it.crash("in");
    await it.start();
  }
  expect(lives).toBeGreaterThan(1);
  expect(it.texts("n")).toEqual(texts);
});
