import { expect, test } from "vitest";
import { createMqttBridge } from "../src/index.ts";
import { startBench } from "./bench.ts";
import { SESSION, subscribed } from "./lasting.ts";
import { createToyHub } from "./toy-hub.ts";

test("others have their turn while what waited is put back", async () => {
  await using first = await startBench();
  const client = await subscribed(first, { topic: "#", qos: 1 }, SESSION);
  await client.end();
  await (await first.client()).settled();
  for (let count = 0; count < 4_000; count += 1) await first.hub.deliver({ channel: "a", qos: 1 });
  const hub = createToyHub({ clock: first.hub.clock, state: [...first.hub.state.values()] });
  let turns = 0;
  let isOver = false;
  const turn = (): void => {
    turns += 1;
    if (!isOver) setImmediate(turn);
  };
  setImmediate(turn);
  await using bridge = createMqttBridge({ listen: ["mqtt://127.0.0.1:0"] });
  await bridge.attach(hub.port);
  isOver = true;
  expect(bridge.counts().sessions.pending).toBe(4_000);
  // 8,000 records, at most 512 at a time.
  expect(turns).toBeGreaterThanOrEqual(14);
});
