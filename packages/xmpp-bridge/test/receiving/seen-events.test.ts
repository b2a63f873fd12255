import { createHash } from "node:crypto";
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  isRemembered,
  isSeenAs,
  missedOf,
  type NodeMemory,
  readMemory,
  withEvent,
  withState,
  writeMemory,
  youngestEvent,
} from "../../src/receiving/node-memory.ts";
import { MOST_REMEMBERED, seenEvents } from "../../src/receiving/seen-events.ts";

/** The plainest that does the same: a map of its own for each memory. */
interface Model {
  readonly current?: { readonly print: string; readonly isOwn: boolean; readonly after?: string };
  readonly events: ReadonlyMap<string, string>;
}

const keyOf = (id: string): string =>
  id.length > 256 ? `#${createHash("sha256").update(id).digest("base64url")}` : id;

function modelWithEvent(model: Model, id: string, print: string): Model {
  const events = new Map(model.events);
  events.delete(keyOf(id));
  events.set(keyOf(id), print);
  const [oldest] = events.keys();
  if (events.size > MOST_REMEMBERED && oldest !== undefined) events.delete(oldest);
  return { ...model, events };
}

function modelWithState(model: Model, print: string, isOwn: boolean): Model {
  const after = [...model.events.keys()].at(-1);
  return { ...model, current: { print, isOwn, ...(after === undefined ? {} : { after }) } };
}

const writeModel = ({ current, events }: Model): string =>
  JSON.stringify({ node: "n", channel: "c", current, events: [...events] });

interface Both {
  readonly memory: NodeMemory;
  readonly model: Model;
}

const LONG = "x".repeat(300);
const idOf = (n: number): string => (n % 10 === 3 ? `${LONG}${n}` : `e${n}`);
const ids = Array.from({ length: 140 }, (_, n) => idOf(n));

const operation = fc.oneof(
  {
    weight: 2,
    arbitrary: fc.record({ is: fc.constant("news" as const), many: fc.integer({ min: 1, max: 100 }) }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      is: fc.constant("event" as const),
      id: fc.nat(139),
      print: fc.constantFrom("p", "q"),
    }),
  },
  { weight: 1, arbitrary: fc.record({ is: fc.constant("state" as const), isOwn: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ is: fc.constant("restart" as const) }) },
  { weight: 1, arbitrary: fc.record({ is: fc.constant("back" as const), to: fc.nat(1_000) }) },
);

function expectAlike({ memory, model }: Both): void {
  expect(Buffer.from(writeMemory(memory)).toString()).toBe(writeModel(model));
  expect(memory.events.size).toBe(model.events.size);
  expect(memory.events.keys()).toEqual([...model.events.keys()]);
  expect(ids.filter((id) => isRemembered(memory, id))).toEqual(
    ids.filter((id) => model.events.has(keyOf(id))),
  );
  for (const print of ["p", "q"])
    expect(ids.filter((id) => isSeenAs(memory, id, print))).toEqual(
      ids.filter((id) => model.events.get(keyOf(id)) === print),
    );
  const youngest = [...model.events.keys()].at(-1);
  expect(youngestEvent(memory, ids)).toBe(ids.find((id) => keyOf(id) === youngest));
  const isSeen = (id: string): boolean => model.events.get(keyOf(id)) === "p";
  const last = ids.findLastIndex(isSeen);
  const listed = ids.map((id) => ({ id, print: "p" }));
  expect(missedOf(memory, listed)).toEqual({
    items: listed.filter(({ id }, at) => at > last || (model.events.has(keyOf(id)) && !isSeen(id))),
    isGap: model.events.size > 0 && !ids.some((id) => model.events.has(keyOf(id))),
  });
}

test("memories that share their events answer and are written as if each had a map of its own, also older ones, and what is made of those", () => {
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 60 }), (operations) => {
      const first: Both = {
        memory: { node: "n", channel: "c", events: seenEvents() },
        model: { events: new Map() },
      };
      const all: Both[] = [first];
      let now = first;
      let made = 0;
      const see = ({ memory, model }: Both, id: string, print: string): Both => ({
        memory: withEvent(memory, id, print),
        model: modelWithEvent(model, id, print),
      });
      for (const each of operations) {
        if (each.is === "event") now = see(now, idOf(each.id), each.print);
        else if (each.is === "news")
          for (let left = each.many; left > 0; left -= 1, made += 1) now = see(now, idOf(made % 140), "p");
        else if (each.is === "state")
          now = {
            memory: withState(now.memory, "s", each.isOwn),
            model: modelWithState(now.model, "s", each.isOwn),
          };
        else if (each.is === "restart") {
          const memory = readMemory(writeMemory(now.memory));
          if (memory === undefined) throw new Error("it cannot be read");
          now = { memory, model: now.model };
        } else now = all[each.to % all.length] ?? first;
        all.push(now);
      }
      for (const both of all) expectAlike(both);
    }),
    { numRuns: process.env["NOMQ_LONG"] ? 2_000 : 60 },
  );
});
