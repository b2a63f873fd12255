import { describe, expect, test } from "vitest";
import type { Endpoint, NomqPeer } from "../../src/index.ts";
import { settle, type V1Driver, type V1DriverOptions } from "../../src/testing/index.ts";
import { createWorld, type Room, text, type World } from "./node-room.ts";

const PUMP: Endpoint = { host: "10.0.0.77", port: 9001 };
const pump = { name: "pump", address: PUMP, channels: ["a/b"] };
const at = (room: Room): Endpoint => room.node.local() ?? { host: "", port: 0 };
const boardOn = (world: World, over: Partial<V1DriverOptions> = {}): V1Driver =>
  world.device({ transport: world.network.open(PUMP), ...over });

describe("contact", () => {
  const heardBy = async (world: World, over = {}): Promise<{ room: Room; why: string[] }> => {
    const why: string[] = [];
    const heard = (peer: NomqPeer, reason: string): void => void why.push(`${peer.id} ${reason}`);
    return { room: await world.node({ peers: [pump], ...over }, { heard }), why };
  };

  test("a renewed session is none: same address, the clock goes on, never silent", async () => {
    const world = createWorld();
    const { room, why } = await heardBy(world);
    const device = boardOn(world);
    const ids = new Set<number>();
    for (let minute = 0; minute < 30; minute += 1) {
      await device.publish({ channel: "a/b", message: "m" }, at(room));
      ids.add(device.device.sessionId);
      await world.clock.advance(60_000);
    }
    expect(ids.size).toBeGreaterThanOrEqual(5);
    expect(why).toEqual(["pump first-contact"]);
    await world.stop();
  });

  test("a new session from the same address with another clock is one, and so is one from another address", async () => {
    const world = createWorld();
    const { room, why } = await heardBy(world);
    const transport = world.network.open(PUMP);
    await world.device({ transport }).publish({ channel: "a/b", message: "m" }, at(room));
    await settle();
    await world
      .device({ transport, offsetSeconds: 3600 })
      .publish({ channel: "a/b", message: "m" }, at(room));
    await settle();
    expect(why).toEqual(["pump first-contact", "pump first-contact"]);
    await world.stop();
  });

  test("a node of ours that renews its session is no new contact either", async () => {
    const world = createWorld();
    const { room, why } = await heardBy(world);
    const other = await world.node({ sessionRenewal: 50_000 });
    for (let minute = 0; minute < 10; minute += 1) {
      await other.node.publish("a/b", text("m"), { to: at(room) });
      await world.clock.advance(60_000);
    }
    expect(why).toHaveLength(1);
    await world.stop();
  });

  test("the first packet after unanswered heartbeats is after silence, and so is one after a gap where nobody asked", async () => {
    for (const over of [{}, { peers: [{ name: "pump", address: PUMP }] }]) {
      const world = createWorld();
      const { room, why } = await heardBy(world, over);
      const device = boardOn(world, { channels: ["x"] });
      await device.publish({ channel: "a/b", message: "m" }, at(room));
      await world.clock.advance(70_000);
      await device.publish({ channel: "a/b", message: "m" }, at(room));
      await settle();
      expect(why).toEqual(["pump first-contact"]);
      await world.clock.advance(80_000);
      await device.publish({ channel: "a/b", message: "m" }, at(room));
      await settle();
      expect(why).toEqual(["pump first-contact", "pump after-silence"]);
      await world.stop();
    }
  });
});
