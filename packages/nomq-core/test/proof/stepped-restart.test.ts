import { expect, test } from "vitest";
import { peekHeader } from "../../src/packet/peek.ts";
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

// Found by node-model.test.ts, as both below.
test("a heartbeat that is the first packet after a step of our clock bears the peer's time", async () => {
  const world = createWorld();
  const { actors, cut } = await openStage(world, 1);
  const { one, two } = actors;
  cut.add("one");
  // The first of three heartbeats has gone out, the second follows in 5 s.
  const known = one.heard.length;
  while (one.heard.length === known) await world.clock.advance(100);
  const before = one.heard.length;
  two.step(-6 * 3600 * 1000);
  await world.clock.advance(6000);
  const stamps = one.heard.slice(before).map((datagram) => peekHeader(datagram)?.timestamp ?? 0);
  expect(stamps.length).toBeGreaterThan(0);
  const now = world.clock.now() / 1000;
  for (const stamp of stamps) expect(Math.abs(stamp - now)).toBeLessThan(110);
  for (const actor of Object.values(actors)) await actor.stop();
});

test("a clock that was set a little three times is known after a restart", async () => {
  const world = createWorld();
  const { actors, cut } = await openStage(world, 1);
  const { one, two } = actors;
  cut.add("one");
  for (let times = 0; times < 3; times += 1) {
    two.step(-20_000);
    await world.clock.advance(70_000);
  }
  await two.stop();
  await two.start();
  cut.clear();
  one.publish({ id: "one:1", channel: "a/b", qos: 1, retain: false, ttl: undefined });
  await world.clock.advance(5000);
  expect(two.taken.map(({ id }) => id)).toContain("one:1");
  for (const actor of Object.values(actors)) await actor.stop();
});
