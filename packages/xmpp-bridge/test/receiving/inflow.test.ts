import type { Draft, Receipt } from "@nomq/core";
import { createFakeClock, settle } from "@nomq/core/testing";
import fc from "fast-check";
import { expect, test } from "vitest";
import { createInflow, type Entering } from "../../src/receiving/inflow.ts";
import { type NodeMemory, withEvent } from "../../src/receiving/node-memory.ts";
import { createTally } from "../../src/receiving/tally.ts";

const empty: NodeMemory = { node: "n", channel: "c", events: new Map() };
const message = (n: number): Entering => ({
  draft: { channel: "c", payload: Buffer.from(String(n)), qos: 1 },
  ...{ from: "jid:a@b", memory: withEvent(empty, `e${n}`, "p"), as: "published" },
});
const receipt = (at: Receipt["at"], reason?: string): Receipt => ({
  ...{ id: "x", channel: "c", at, outcomes: [] },
  ...(reason === undefined ? {} : { reason }),
});

test("through a hub that is busy at times every message enters once, and is remembered only after all before it", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.constantFrom("stored", "busy", "full", "disk", "access"), { minLength: 1, maxLength: 60 }),
      async (fates) => {
        const clock = createFakeClock();
        const stopping = new AbortController();
        const entered: string[] = [];
        const settled: string[] = [];
        const tally = createTally();
        let calls = 0;
        const publish = async ({ payload }: Draft): Promise<Receipt> => {
          const fate = calls < fates.length ? fates[calls] : "stored";
          calls += 1;
          if (fate === "busy") return receipt("refused", "store-busy");
          if (fate === "disk") return receipt("refused", "store-full");
          if (fate === "full") return receipt("refused", "outbox-full: cloud");
          entered.push(Buffer.from(payload).toString());
          return fate === "access" ? receipt("refused", "access") : receipt("stored");
        };
        const inflow = createInflow({
          ...{
            port: { clock, publish, sessionLog: { record: () => undefined } },
            attachment: "x",
            tally,
            signal: stopping.signal,
          },
          settled: ({ events }) => void settled.push([...events.keys()].join()),
        });
        let isDone = false;
        const all = (async () => {
          for (let n = 0; n < 20; n += 1) await inflow.enter(message(n));
          await inflow.rest();
          isDone = true;
        })();
        for (let turn = 0; turn < 100 && !isDone; turn += 1) await clock.advance(5_000);
        await all;
        const numbers = Array.from({ length: 20 }, (_, n) => n);
        expect(entered.map(Number).toSorted((one, other) => one - other)).toEqual(numbers);
        expect(settled).toEqual(numbers.map((n) => `e${n}`));
        const { published, refused } = tally.now();
        expect(published + (refused["access"] ?? 0)).toBe(20);
        expect(Object.keys(refused).filter((reason) => reason !== "access")).toEqual([]);
        expect(clock.pending()).toBe(0);
      },
    ),
    { numRuns: process.env["NOMQ_LONG"] ? 2_000 : 40 },
  );
});

test("what was under way when the gateway stopped is not remembered: it comes again", async () => {
  const clock = createFakeClock();
  const stopping = new AbortController();
  const settled: string[] = [];
  const hung = Promise.withResolvers<Receipt>();
  const answers = [Promise.resolve(receipt("stored")), hung.promise, Promise.resolve(receipt("stored"))];
  const inflow = createInflow({
    port: { clock, publish: () => answers.shift() ?? hung.promise, sessionLog: { record: () => undefined } },
    ...{ attachment: "x", tally: createTally(), signal: stopping.signal },
    settled: ({ events }) => void settled.push([...events.keys()].join()),
  });
  for (let n = 0; n < 3; n += 1) await inflow.enter(message(n));
  await settle();
  expect(settled).toEqual(["e0"]);
  stopping.abort();
  hung.resolve(receipt("accepted"));
  await inflow.rest();
  expect(settled).toEqual(["e0"]);
});
