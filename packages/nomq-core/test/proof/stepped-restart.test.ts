import { expect, test } from "vitest";
import { createWorld } from "../node/node-room.ts";
import { openStage } from "./model/commands.ts";

// Found by node-model.test.ts: a restarted node held a new session of a peer whose clock it had stored for a stranger's.
test("after both clocks were set and one node restarted, a new session of the other is still known by its clock", async () => {
  const world = createWorld();
  const { actors } = await openStage(world, 1);
  const { one, two } = actors;
  two.step(40_000);
  one.step(-6 * 3600 * 1000);
  await two.stop();
  await two.start();
  await world.clock.advance(130_000);
  one.publish({ id: "one:1", channel: "a/b", qos: 1, retain: false, ttl: undefined });
  await world.clock.advance(5000);
  expect(two.taken.map(({ id }) => id)).toContain("one:1");
  expect(two.room().node.status().rejected["clock-unknown"]).toBe(0);
  for (const actor of Object.values(actors)) await actor.stop();
  expect(world.clock.pending()).toBe(0);
});
