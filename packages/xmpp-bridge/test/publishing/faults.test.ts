import fc from "fast-check";
import { expect, test } from "vitest";
import { startPublishing } from "./publishing-world.ts";
import type { Fate } from "./toy-service.ts";

const runs = process.env["NOMQ_LONG"] ? 2_000 : 100;

const fate = fc.constantFrom<Fate>(
  "done",
  "done",
  "done",
  "done-unanswered",
  "unanswered",
  "wait",
  "no-service",
  "held",
);

const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("publish" as const),
      channel: fc.constantFrom("a", "b"),
      qos: fc.constantFrom(0 as const, 1 as const, 2 as const),
      retain: fc.boolean(),
      isEmpty: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("fate" as const), fate }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("answer" as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("fail" as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant("drop" as const), channel: fc.constantFrom("a", "b") }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("time" as const), ms: fc.nat(2_000) }) },
);

test("however the service fails, at rest it holds the hub's state, and every event of QoS 1 and 2", async () => {
  const property = fc.asyncProperty(fc.array(step, { maxLength: 80 }), async (steps) => {
    await using world = await startPublishing();
    world.toy.history = 1_000;
    const events = new Map<string, string[]>([
      ["a", []],
      ["b", []],
    ]);
    let number = 0;
    for (const one of steps) {
      switch (one.do) {
        case "publish": {
          const { channel, qos, retain } = one;
          const text = retain && one.isEmpty ? "" : `${++number}`;
          await world.publish({ channel, text, qos, retain });
          if (!retain && qos > 0) events.get(channel)?.push(text);
          break;
        }
        case "fate":
          world.toy.fate = () => one.fate;
          break;
        case "answer":
          world.toy.answer();
          break;
        case "fail":
          world.publisher.failAll("the service has gone");
          break;
        case "drop":
          world.toy.drop(one.channel);
          // What lay there is gone for good; the hub's state is sent anew when that is found out.
          events.set(one.channel, []);
          await world.repair();
          break;
        case "time":
          await world.clock.advance(one.ms);
      }
    }
    world.toy.fate = () => "done";
    world.toy.answer();
    await world.rest();
    for (const [channel, sent] of events) {
      const items = world.toy.items.get(channel) ?? [];
      const state = await world.port.latest(channel, "*");
      const there = items.find(({ id }) => id === "current")?.text;
      expect(there).toBe(state && Buffer.from(state.payload).toString());
      expect(items.filter(({ id }) => id !== "current").map(({ text }) => text)).toEqual(
        expect.arrayContaining(sent),
      );
    }
  });
  await fc.assert(property, { numRuns: runs, seed: 7 });
});
