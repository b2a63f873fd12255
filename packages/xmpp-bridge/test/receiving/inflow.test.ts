import { type Draft, NomqError, type Receipt } from "@nomq/core";
import { createFakeClock, settle } from "@nomq/core/testing";
import fc from "fast-check";
import { expect, test } from "vitest";
import { createInflow, type Entering, pause } from "../../src/receiving/inflow.ts";
import { type NodeMemory, withEvent } from "../../src/receiving/node-memory.ts";
import { seenEvents } from "../../src/receiving/seen-events.ts";
import { createTally } from "../../src/receiving/tally.ts";

const empty: NodeMemory = { node: "n", channel: "c", events: seenEvents() };
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

test("what a full disk refused together enters in its order once there is room, what came meanwhile behind it", async () => {
  const clock = createFakeClock();
  let asked = 0;
  const entered: string[] = [];
  const publish = async ({ payload }: Draft): Promise<Receipt> => {
    asked += 1;
    // The second waits for a commit that fails.
    if (asked === 2) await pause(clock, 150, new AbortController().signal);
    if (clock.monotonic() - began < 200) return receipt("refused", "store-full");
    entered.push(Buffer.from(payload).toString());
    return receipt("stored");
  };
  const inflow = createInflow({
    port: { clock, publish, sessionLog: { record: () => undefined } },
    ...{ attachment: "x", tally: createTally(), signal: new AbortController().signal },
    settled: () => undefined,
  });
  const began = clock.monotonic();
  // Both are under way before the first refusal is known.
  const entering = [inflow.enter(message(0)), inflow.enter(message(1))];
  await clock.advance(160);
  entering.push(inflow.enter(message(2)));
  for (let turn = 0; turn < 20; turn += 1) await clock.advance(50);
  await Promise.all(entering);
  await inflow.rest();
  expect(entered).toEqual(["0", "1", "2"]);
});

const inflowOf = (publish: () => Promise<Receipt>, settled: (memory: NodeMemory) => void) => {
  const tally = createTally();
  const inflow = createInflow({
    port: { clock: createFakeClock(), publish, sessionLog: { record: () => undefined } },
    ...{ attachment: "x", tally, signal: new AbortController().signal, settled },
  });
  return { inflow, tally };
};

test.each([
  ["refuses all", () => Promise.resolve(receipt("refused", "closed"))],
  ["rejects all", () => Promise.reject(new NomqError("closed", "the hub is closed"))],
])("a hub that has closed and %s is asked no more, and nothing is remembered", async (_how, publish) => {
  const settled: NodeMemory[] = [];
  let calls = 0;
  const counted = (): Promise<Receipt> => {
    calls += 1;
    return publish();
  };
  const { inflow } = inflowOf(counted, (memory) => void settled.push(memory));
  for (let n = 0; n < 100; n += 1) await inflow.enter(message(n));
  await inflow.rest();
  expect(settled).toEqual([]);
  expect(calls).toBeLessThanOrEqual(32);
});

test("a message that the hub stumbles over is counted, and those behind it enter", async () => {
  let calls = 0;
  const publish = (): Promise<Receipt> => {
    calls += 1;
    return calls === 1 ? Promise.reject(new TypeError("boom")) : Promise.resolve(receipt("stored"));
  };
  const { inflow, tally } = inflowOf(publish, () => undefined);
  for (let n = 0; n < 3; n += 1) await inflow.enter(message(n));
  await inflow.rest();
  expect(tally.now()).toMatchObject({ published: 2, refused: { "internal-error": 1 } });
});

test("what passes behind a message that is held up is one memory, however much it is", async () => {
  const held = Promise.withResolvers<Receipt>();
  const settled: (string | undefined)[] = [];
  const { inflow } = inflowOf(
    () => held.promise,
    ({ events }) => void settled.push([...events.keys()].at(-1)),
  );
  await inflow.enter(message(0));
  for (let n = 1; n <= 10_000; n += 1) inflow.pass(withEvent(empty, `e${n}`, "p"));
  held.resolve(receipt("stored"));
  await inflow.rest();
  await settle();
  expect(settled).toEqual(["e0", "e10000"]);
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
