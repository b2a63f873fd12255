import { describe, expect, test } from "vitest";
import type { Endpoint } from "../../src/index.ts";
import { createV1Device, settle } from "../../src/testing/index.ts";
import { vectorKey } from "../vectors.ts";
import { createRoom, createWorld, type Room, stateOf, text, until, type World } from "./node-room.ts";

const { encryption, mac } = vectorKey();
const at = (room: Room): Endpoint => room.node.local() ?? { host: "", port: 0 };
const STEPS = [7_200_000, -7_200_000, 47_000, -47_000, 3 * 365 * 86_400_000, -3 * 365 * 86_400_000];

/** A board whose clock goes on whatever ours does. */
function board(world: World): {
  packet(message: string): Uint8Array;
  send(datagram: Uint8Array, to: Endpoint): Promise<void>;
} {
  const device = createV1Device({ encryption, mac, channels: ["a/b"] });
  const transport = world.network.open();
  const zero = Math.floor(world.clock.now() / 1000) - Math.floor(world.clock.monotonic() / 1000);
  return {
    packet: (message) => {
      const now = zero + Math.floor(world.clock.monotonic() / 1000);
      return device.publish({ channel: "a/b", message, qos: 1 }, now).datagrams[0] ?? text("");
    },
    async send(datagram, to) {
      await transport.send(datagram, to);
      await settle();
    },
  };
}

describe("a step of our own wall clock", () => {
  test.each(STEPS)(
    "by %s ms: sessions go on, and replays from before and around it stay replays",
    async (ms) => {
      const world = createWorld();
      const room = await world.node();
      const one = board(world);
      const recorded = [one.packet("before")];
      await one.send(recorded[0] ?? text(""), at(room));
      await world.clock.advance(5000);
      world.clock.step(ms);
      for (const datagram of recorded) await one.send(datagram, at(room));
      recorded.push(one.packet("after"));
      for (const datagram of recorded) await one.send(datagram, at(room));
      // As long after as the step was long, when an old stamp would look like one of now.
      await world.clock.advance(Math.min(Math.abs(ms), 7_200_000));
      for (const datagram of recorded) await one.send(datagram, at(room));
      recorded.push(one.packet("later"));
      await one.send(recorded[2] ?? text(""), at(room));
      expect(room.texts()).toEqual(["before", "after", "later"]);
      expect(room.node.status().rejected).toMatchObject({ stale: 0, replay: 4, "clock-unknown": 0 });
      await world.stop();
    },
  );

  test.each(STEPS)("by %s ms: is kept by the state, so that the next life judges alike", async (ms) => {
    const world = createWorld();
    const room = await world.node();
    const one = board(world);
    const recorded = one.packet("before");
    await one.send(recorded, at(room));
    world.clock.step(ms);
    await world.clock.advance(120_000);
    await room.node.stop();
    const transport = world.network.open();
    const next = createRoom({ clock: world.clock, keys: [vectorKey()], transport });
    await next.node.restore(stateOf(room));
    await next.node.start();
    await one.send(recorded, transport.local);
    await one.send(one.packet("after"), transport.local);
    expect(next.texts()).toEqual(["after"]);
    expect(next.node.status().rejected.replay).toBe(1);
    await next.node.stop();
    await world.stop();
  });

  test.each(STEPS)("by %s ms: what goes to a device next is stamped with the device's clock", async (ms) => {
    const world = createWorld();
    const room = await world.node();
    const device = world.device();
    await device.publish({ channel: "a/b", message: "here I am" }, at(room));
    await world.clock.advance(0);
    world.clock.step(ms);
    // The model counts from the same wall clock: its own did not step.
    device.offsetSeconds = -ms / 1000;
    let is: string | undefined;
    void room.node.publish("a/b", text("m"), { qos: 1, to: device.local }).then((outcome) => {
      is = outcome.is;
    });
    await world.clock.advance(500);
    expect(is).toBe("delivered");
    expect(device.delivered.map((each) => each.text)).toEqual(["m"]);
    await world.stop();
  });

  test("between nodes of ours nothing is lost, and the step is logged once", async () => {
    const world = createWorld();
    const lines: string[] = [];
    const say = (line: string): void => void lines.push(line);
    const log = { debug: say, info: say, warn: say, error: say };
    const room = await world.node({ log });
    const device = world.device();
    await device.publish({ channel: "a/b", message: "here I am" }, at(room));
    await settle();
    const session = room.node.sessionId;
    world.clock.step(3_600_000);
    await world.clock.advance(300_000);
    expect(lines.filter((line) => line.includes("wall clock has stepped"))).toHaveLength(1);
    expect(room.node.sessionId).not.toBe(session);
    await world.stop();
  });

  test("that was a sleep of this machine: a device that only answers is found by its other clock", async () => {
    const world = createWorld();
    const room = await world.node();
    const device = world.device();
    await device.publish({ channel: "a/b", message: "here I am" }, at(room));
    await world.clock.advance(0);
    // Timers stood still for three hours; the device's clock and ours went on.
    world.clock.step(3 * 3_600_000);
    let is: string | undefined;
    void room.node.publish("a/b", text("m"), { qos: 1, to: device.local }).then((outcome) => {
      is = outcome.is;
    });
    await until(world.clock, () => is !== undefined, 60_000);
    expect(is).toBe("delivered");
    expect(device.delivered.map((each) => each.text)).toEqual(["m"]);
    expect(room.node.status().rejected.stale).toBe(0);
    await world.stop();
  });

  test("steps below 30 s add up to no stale packets", async () => {
    const world = createWorld();
    const room = await world.node();
    const one = board(world);
    await one.send(one.packet("first"), at(room));
    for (let step = 0; step < 5; step += 1) {
      world.clock.step(20_000);
      await world.clock.advance(61_000);
    }
    await one.send(one.packet("second"), at(room));
    expect(room.texts()).toEqual(["first", "second"]);
    await world.stop();
  });
});
