import { expect, test } from "vitest";
import { type Bench, startBench } from "./bench.ts";
import { SESSION, written } from "./lasting.ts";

const DAY_MS = 86_400_000;

/** A session with a message for five minutes, of which a hundred seconds have passed. */
async function waiting(): Promise<Bench> {
  const bench = await startBench();
  await (await bench.subscriber("#", 1, SESSION)).end();
  await written(bench);
  await bench.hub.deliver({ channel: "long", qos: 1 }, 300_000);
  await written(bench);
  await bench.hub.clock.advance(100_000);
  return bench;
}

// Of MQTT 5.0 section 3.3.2.3.3, where the wall clock is no measure of the time that passes.
test.each([
  ["forward", DAY_MS],
  ["back", -DAY_MS],
])("a clock set %s while the process was down changes nobody's time to live", async (_, by) => {
  await using first = await waiting();
  await using second = await first.killed(by);
  const again = await second.client(SESSION);
  expect(again.got[0]).toMatchObject({ sessionPresent: true });
  const left = { properties: { messageExpiryInterval: 200 } };
  expect(await again.take("publish")).toMatchObject({ topic: "long", ...left });
});

test("what was read so is written anew: the run after that needs no correction", async () => {
  await using first = await waiting();
  await using second = await first.killed(DAY_MS);
  await second.hub.clock.advance(10_000);
  await written(second);
  await using third = await second.killed();
  const again = await third.client(SESSION);
  expect(again.got[0]).toMatchObject({ sessionPresent: true });
  const left = { properties: { messageExpiryInterval: 190 } };
  expect(await again.take("publish")).toMatchObject({ topic: "long", ...left });
});
