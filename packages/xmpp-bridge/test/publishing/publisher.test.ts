import { createMemoryStore } from "@nomq/core";
import { createFakeClock, createFaultyStore } from "@nomq/core/testing";
import { describe, expect, test } from "vitest";
import { startPublishing } from "./publishing-world.ts";
import { createToyService, type Fate, type ToyItem } from "./toy-service.ts";

const texts = (items: readonly ToyItem[] | undefined): string[] =>
  (items ?? []).map(({ id, text }) => (id === "current" ? `current: ${text}` : text));

/** Fates one after the other, then `done`. */
const fates = (...list: Fate[]): ((asked: string) => Fate) => {
  return () => list.shift() ?? "done";
};

describe("state and events", () => {
  test("state is the item `current` of a node that keeps one item", async () => {
    await using world = await startPublishing();
    await world.publish({ channel: "a", text: "1", qos: 1, retain: true });
    await world.publish({ channel: "a", text: "2", qos: 1, retain: true });
    await world.rest();
    expect(texts(world.toy.items.get("a"))).toEqual(["current: 2"]);
  });

  test("events have the message's id, and the first of QoS 1 raises the node to its history", async () => {
    await using world = await startPublishing();
    await world.publish({ channel: "a", text: "state", qos: 1, retain: true });
    const { id } = await world.publish({ channel: "a", text: "event", qos: 1 });
    await world.rest();
    expect(texts(world.toy.items.get("a"))).toEqual(["current: state", "event"]);
    expect(world.toy.items.get("a")?.[1]?.id).toBe(id);
  });

  test("an event of QoS 0 takes the node as it is, but never in place of its state", async () => {
    await using world = await startPublishing();
    await world.publish({ channel: "events", text: "1" });
    await world.publish({ channel: "events", text: "2" });
    await world.publish({ channel: "both", text: "state", retain: true });
    await world.publish({ channel: "both", text: "event" });
    await world.rest();
    expect(texts(world.toy.items.get("events"))).toEqual(["2"]);
    expect(texts(world.toy.items.get("both"))).toEqual(["current: state", "event"]);
  });

  test("state is published again before events push it out, and only then", async () => {
    await using world = await startPublishing();
    await world.publish({ channel: "a", text: "state", qos: 1, retain: true });
    for (let number = 1; number <= 60; number += 1) {
      await world.publish({ channel: "a", text: `${number}`, qos: 1 });
      await world.rest();
      expect(texts(world.toy.items.get("a"))).toContain("current: state");
    }
    // History 10: once in seven events.
    expect(world.told.filter((what) => what === "renewed")).toHaveLength(8);
    expect(texts(world.toy.items.get("a")).at(-1)).toBe("60");
  });

  test("a cleared state is retracted; one that is not there is cleared already", async () => {
    await using world = await startPublishing();
    await world.publish({ channel: "a", text: "state", qos: 1, retain: true });
    await world.publish({ channel: "a", text: "", qos: 1, retain: true });
    const { id } = await world.publish({ channel: "nothing", text: "", qos: 1, retain: true });
    await world.rest();
    expect(texts(world.toy.items.get("a"))).toEqual([]);
    expect(await world.outcome(id)).toBe("delivered");
  });

  test("state that lies there is not published again when the hub sends all of it anew", async () => {
    await using world = await startPublishing();
    await world.publish({ channel: "a", text: "kept", qos: 1, retain: true });
    await world.publish({ channel: "b", text: "lost", qos: 1, retain: true });
    await world.rest();
    world.toy.drop("b");
    await world.repair();
    await world.rest();
    expect(world.toy.asked.filter((what) => what === "publish a current")).toHaveLength(1);
    expect(texts(world.toy.items.get("b"))).toEqual(["current: lost"]);
    expect(world.told).toContain("unchanged");
  });
});

describe("outcomes", () => {
  test.each<[Fate, string]>([
    ["done", "delivered"],
    ["forbidden", "refused: forbidden"],
    ["poison", "refused: poison: not-well-formed"],
  ])("%s is %s", async (fate, outcome) => {
    await using world = await startPublishing();
    world.toy.fate = fates(fate);
    const { id } = await world.publish({ channel: "a", text: "1", qos: 1 });
    await world.rest();
    expect(await world.outcome(id)).toBe(outcome);
  });

  test.each<Fate>(["wait", "unanswered", "done-unanswered", "no-service"])(
    "after %s the same item is published again",
    async (fate) => {
      await using world = await startPublishing();
      world.toy.fate = fates(fate, fate);
      const { id } = await world.publish({ channel: "a", text: "1", qos: 2 });
      await world.rest();
      expect(await world.outcome(id)).toBe("delivered");
      expect(world.toy.asked).toEqual(Array(3).fill(`publish a ${id}`));
      expect(texts(world.toy.items.get("a"))).toEqual(["1"]);
    },
  );

  test("what was sent behind a message that comes again comes again too: an older state never lands last", async () => {
    await using world = await startPublishing();
    await world.publish({ channel: "a", text: "0", qos: 1, retain: true });
    await world.rest();
    world.toy.fate = fates("wait", "done", "done");
    for (const text of ["1", "2", "3"]) await world.publish({ channel: "a", text, qos: 1, retain: true });
    await world.rest();
    expect(texts(world.toy.items.get("a"))).toEqual(["current: 3"]);
  });

  test("a channel whose node fails delays no other", async () => {
    await using world = await startPublishing();
    world.toy.fate = (asked) => (asked.startsWith("publish bad") ? "wait" : "done");
    await world.publish({ channel: "bad", text: "1", qos: 1 });
    const { id } = await world.publish({ channel: "good", text: "1", qos: 1 });
    await world.clock.advance(0);
    expect(await world.outcome(id)).toBe("delivered");
  });

  test("a node that has gone is made again", async () => {
    await using world = await startPublishing();
    await world.publish({ channel: "a", text: "1", qos: 1 });
    await world.rest();
    world.toy.drop("a");
    const { id } = await world.publish({ channel: "a", text: "2", qos: 1 });
    await world.rest();
    expect(await world.outcome(id)).toBe("delivered");
    expect(texts(world.toy.items.get("a"))).toEqual(["2"]);
  });

  test("a node that may not be made refuses its messages, with the condition", async () => {
    await using world = await startPublishing();
    world.toy.prepares = () => ({ is: "error", type: "auth", condition: "forbidden" });
    const { id } = await world.publish({ channel: "a", text: "1", qos: 1 });
    await world.rest();
    expect(await world.outcome(id)).toBe("refused: forbidden");
    expect(world.told).toEqual(["refused a forbidden"]);
  });

  test("poison is told, and what else waits goes on", async () => {
    await using world = await startPublishing();
    world.toy.fate = fates("poison");
    await world.publish({ channel: "a", text: "1", qos: 1 });
    const { id } = await world.publish({ channel: "a", text: "2", qos: 1 });
    await world.rest();
    expect(world.told).toContain("poison a poison: not-well-formed");
    expect(await world.outcome(id)).toBe("delivered");
  });

  test("at QoS 0 nobody waits for the service", async () => {
    await using world = await startPublishing();
    await world.publish({ channel: "a", text: "0" });
    await world.rest();
    world.toy.fate = () => "held";
    const { id } = await world.publish({ channel: "a", text: "1" });
    await world.clock.advance(0);
    expect(await world.outcome(id)).toBe("delivered");
    world.toy.fate = () => "forbidden";
    world.toy.answer();
    await world.clock.advance(0);
    expect(world.told).toEqual(["unheard a forbidden, refused"]);
  });

  test("at QoS 0 at most 32 are under way of which nobody waits for the answer", async () => {
    await using world = await startPublishing();
    await world.publish({ channel: "a", text: "0" });
    await world.rest();
    world.toy.fate = () => "held";
    for (let number = 0; number < 100; number += 1) await world.publish({ channel: "a", text: "1" });
    await world.clock.advance(0);
    expect(world.toy.asked.length).toBeLessThanOrEqual(1 + 32 + 32);
    world.toy.fate = () => "done";
    world.toy.answer();
    await world.rest();
    expect(world.toy.asked).toHaveLength(101);
  });

  test("properties above what a stanza may hold are refused as too large", async () => {
    await using world = await startPublishing();
    const properties = [["name", "x".repeat(40_000)]] as const;
    const { id } = await world.publish({ channel: "a", text: "1", qos: 1, properties });
    await world.rest();
    expect(await world.outcome(id)).toBe("refused: too-large");
  });

  test("a call that is ended answers at once, and is not sent later", async () => {
    await using world = await startPublishing();
    world.toy.fate = () => "held";
    await world.publish({ channel: "a", text: "1", qos: 1 });
    while (world.toy.asked.length === 0) await world.clock.advance(0);
    world.publisher.failAll("stopping");
    // The hub may try again in this very turn.
    world.toy.fate = () => "done";
    await world.rest();
    expect(texts(world.toy.items.get("a"))).toEqual(["1"]);
  });
});

describe("expiry", () => {
  test("an item with a time to live is taken back when it is over, after a restart too", async () => {
    await using world = await startPublishing();
    await world.publish({ channel: "a", text: "1", qos: 1, retain: true, ttlMs: 5_000 });
    await world.rest();
    expect(world.told).toEqual([]);
    const written: string[] = [];
    for await (const [key] of world.port.state()) written.push(Buffer.from(key).toString());
    expect(written).toEqual(["expiry current a"]);
    await world.clock.advance(5_000);
    expect(world.told).toContain("expired a current");
  });

  test("a newer state without one is not taken back", async () => {
    await using world = await startPublishing();
    await world.publish({ channel: "a", text: "1", qos: 1, retain: true, ttlMs: 5_000 });
    await world.rest();
    await world.publish({ channel: "a", text: "2", qos: 1, retain: true });
    await world.rest();
    await world.clock.advance(60_000);
    expect(world.told).toEqual([]);
    const written: string[] = [];
    for await (const [key] of world.port.state()) written.push(Buffer.from(key).toString());
    expect(written).toEqual([]);
  });

  test("an item refused leaves the end of the one before as it was", async () => {
    await using world = await startPublishing();
    await world.publish({ channel: "a", text: "1", qos: 1, retain: true, ttlMs: 5_000 });
    await world.rest();
    world.toy.fate = fates("forbidden");
    await world.publish({ channel: "a", text: "2", qos: 1, retain: true });
    await world.rest();
    await world.clock.advance(5_000);
    expect(world.told).toContain("expired a current");
  });

  test("now or never (TTL 0) is published, and taken back at once", async () => {
    await using world = await startPublishing();
    await world.publish({ channel: "a", text: "0", qos: 1 });
    await world.rest();
    const { id } = await world.publish({ channel: "a", text: "1", qos: 1, ttlMs: 0 });
    await world.rest();
    expect(await world.outcome(id)).toBe("delivered");
    expect(world.toy.asked.at(-1)).toBe(`publish a ${id}`);
    await world.clock.advance(1);
    expect(world.told).toEqual([`expired a ${id}`]);
  });

  test.each(["in", "out"] as const)(
    "an event whose gateway is killed before it hears of it is taken back all the same (the open commit is %s)",
    async (last) => {
      const clock = createFakeClock();
      const toy = createToyService();
      const store = createFaultyStore(createMemoryStore({ clock }));
      const killed = await startPublishing({ clock, toy, store });
      toy.fate = fates("done-unanswered");
      const { id } = await killed.publish({ channel: "a", text: "1", qos: 1, ttlMs: 5_000 });
      await clock.advance(0);
      expect(toy.items.get("a")).toHaveLength(1);
      const left = store.crash(last);
      killed.expiries.pause();
      await clock.advance(10_000);
      await using world = await startPublishing({ clock, toy, store: left });
      await world.rest();
      expect(world.told).toEqual([`expired a ${id}`]);
    },
  );

  test("what is refused is not taken back, and nothing is left written of it", async () => {
    await using world = await startPublishing();
    world.toy.fate = fates("forbidden");
    await world.publish({ channel: "a", text: "1", qos: 1, ttlMs: 5_000 });
    await world.rest();
    await world.clock.advance(60_000);
    expect(world.told).toEqual(["refused a forbidden"]);
    const written: string[] = [];
    for await (const [key] of world.port.state()) written.push(Buffer.from(key).toString());
    expect(written).toEqual([]);
  });

  test("what expires while nobody answers is not sent again", async () => {
    await using world = await startPublishing();
    world.toy.fate = () => "held";
    const { id } = await world.publish({ channel: "a", text: "1", qos: 1, ttlMs: 5_000 });
    await world.clock.advance(5_000);
    expect(await world.outcome(id)).toBe("expired");
  });
});
