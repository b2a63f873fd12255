import { expect, test } from "vitest";
import type { PublishOutcome } from "../../src/index.ts";
import { createWorld, text } from "./node-room.ts";

const AT = { one: { host: "10.4.0.1", port: 8888 }, two: { host: "10.4.0.2", port: 8888 } };
const TIMESTAMP_AT = 31;

// Whoever was never heard is tried by both epochs' clocks. If the copy for the other epoch comes first, it must not
// set the clock of the session: every later packet of it would be stale.
test("two nodes that have never heard each other do not settle on the clock of 2000", async () => {
  const world = createWorld();
  const one = await world.node({ transport: world.network.open(AT.one) });
  const two = await world.node({ transport: world.network.open(AT.two) });
  const now = Math.floor(world.clock.now() / 1000);
  const isFor1970 = (datagram: Uint8Array): boolean =>
    Buffer.from(datagram).readUInt32BE(TIMESTAMP_AT) > now - 1000;
  world.network.change({ drop: (datagram, from) => from.host === AT.one.host && isFor1970(datagram) });
  await one.node.publish("a/b", text("lost for 1970"), { to: AT.two });
  await world.clock.advance(0);
  expect(two.texts()).toEqual([]);
  expect(two.node.status().rejected.stale).toBe(1);

  world.network.change({ drop: () => false });
  await two.node.publish("a/b", text("hello"), { to: AT.one });
  await world.clock.advance(0);
  const outcomes: PublishOutcome[] = [];
  for (const qos of [1, 2] as const) {
    void one.node.publish("a/b", text(`m${qos}`), { qos, to: AT.two }).then((outcome) => {
      outcomes.push(outcome);
    });
  }
  await world.clock.advance(5000);
  expect(outcomes).toMatchObject([{ is: "delivered" }, { is: "delivered" }]);
  expect(two.texts()).toEqual(["m1", "m2"]);
  await world.stop();
});

test.each([1, 2] as const)("QoS %i: who comes while it is tried gets it within a second", async (qos) => {
  const world = createWorld();
  const peers = [{ name: "two", address: AT.two, kind: "node" }] as const;
  const one = await world.node({ transport: world.network.open(AT.one), peers });
  const outcomes: PublishOutcome[] = [];
  void one.node.publish("a/b", text("m"), { qos, to: AT.two }).then((outcome) => outcomes.push(outcome));
  // The next try would be 16 s to 24 s after the one before.
  await world.clock.advance(24_000);
  const two = await world.node({ transport: world.network.open(AT.two) });
  await two.node.publish("c/d", text("here I am"), { to: AT.one });
  await world.clock.advance(1000);
  expect(outcomes).toMatchObject([{ is: "delivered" }]);
  expect(two.texts()).toEqual(["m"]);
  await world.stop();
});
