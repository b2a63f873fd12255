import { expect, test } from "vitest";
import type { PublishOutcome } from "../../src/index.ts";
import type { V1Driver } from "../../src/testing/index.ts";
import { createWorld, type Room, text, type World } from "./node-room.ts";

const NODE = { host: "10.4.0.1", port: 8888 };

/** A device that lets no PUBREC out, while its clock is measured anew between our attempts. */
async function sendWhile(
  change: (world: World, device: V1Driver) => Promise<void> | void,
): Promise<{ device: V1Driver; outcomes: PublishOutcome[]; world: World; room: Room }> {
  const world = createWorld();
  const room = await world.node({ transport: world.network.open(NODE) });
  const device = world.device({ cut: ["PUBREC"] });
  world.network.change({ delayMs: 4000 });
  await device.publish({ channel: "a/b", message: "late" }, NODE);
  await world.clock.advance(5000);
  world.network.change({ delayMs: 0 });
  const outcomes: PublishOutcome[] = [];
  void room.node.publish("a/b", text("m"), { qos: 2, to: device.local }).then((outcome) => {
    outcomes.push(outcome);
  });
  await world.clock.advance(500);
  await change(world, device);
  await world.clock.advance(30_000);
  return { device, outcomes, world, room };
}

// Sealed anew it would be another message to a device (protocol.md section 10.4).
test("QoS 2 keeps its bytes when the device's clock is measured better meanwhile", async () => {
  const { device, outcomes, world } = await sendWhile(async (_, board) => {
    await board.publish({ channel: "a/b", message: "in time" }, NODE);
  });
  expect(outcomes).toMatchObject([{ is: "uncertain" }]);
  expect(device.delivered.map((one) => one.text)).toEqual(["m"]);
  expect(device.received.length).toBeGreaterThan(2);
  await world.stop();
});

test("QoS 2 is sealed anew for a clock so far off that no earlier copy can have been taken", async () => {
  const world = createWorld();
  const room = await world.node({ transport: world.network.open(NODE) });
  const device = world.device({ offsetSeconds: -946_684_800 + 12_600 });
  const outcomes: PublishOutcome[] = [];
  void room.node.publish("a/b", text("m"), { qos: 2, to: device.local }).then((outcome) => {
    outcomes.push(outcome);
  });
  await world.clock.advance(500);
  expect(device.delivered).toEqual([]);
  await device.publish({ channel: "a/b", message: "here I am" }, NODE);
  await world.clock.advance(30_000);
  expect(outcomes).toMatchObject([{ is: "delivered" }]);
  expect(device.delivered.map((one) => one.text)).toEqual(["m"]);
  await world.stop();
});
