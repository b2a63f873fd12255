import { describe, expect, test } from "vitest";
import { createV1Device, settle } from "../../src/testing/index.ts";
import { vectorKey, vectors } from "../vectors.ts";
import { createWorld, type Room, text, type World } from "./node-room.ts";

const keys = { encryption: vectorKey().encryption, mac: vectorKey().mac };
const BOARD = { host: "10.0.0.77", port: 9001 };
const UNSET = 7 - vectors.time;

/** Sends one message of a new session, or of `device`, with a clock `offset` seconds ahead. */
async function say(
  world: World,
  room: Room,
  { offset = 0, from = world.network.open(), device = createV1Device({ ...keys, channels: [] }) } = {},
): Promise<void> {
  const now = Math.floor(world.clock.now() / 1000) + offset;
  const [datagram = text("")] = device.publish({ channel: "a/b", message: "m" }, now).datagrams;
  await from.send(datagram, room.node.local() ?? BOARD);
  await settle();
}

describe("a clock that no rule accepts", () => {
  test("is listed with its likely cause and the line that takes it, until it is accepted", async () => {
    const world = createWorld();
    const lines: unknown[] = [];
    const log = {
      debug() {},
      info() {},
      error() {},
      warn: (line: string, fields: unknown) => lines.push([line, fields]),
    };
    const room = await world.node({ log });
    const from = world.network.open(BOARD);
    for (let boot = 0; boot < 3; boot += 1) await say(world, room, { from, offset: UNSET });
    expect(room.node.status().unknownClocks).toEqual([
      {
        source: "10.0.0.77:9001",
        key: vectorKey().id,
        reason: "clock-unknown",
        offset: UNSET,
        likely: "nobody has set it: it counts from 0 and shows 7 s",
        paste: '- { name: device-10.0.0.77-9001, address: "10.0.0.77:9001", clock: any }',
        count: 3,
        firstSeen: world.clock.now(),
        lastSeen: world.clock.now(),
      },
    ]);
    const said = lines.filter((line) => JSON.stringify(line).includes("clock: any"));
    expect(said).toHaveLength(1);
    expect(JSON.stringify(said)).toContain("nomq.time");
    // It asked for the time, and begins again.
    await say(world, room, { from });
    expect(room.node.status().unknownClocks).toEqual([]);
    await world.stop();
  });

  test("of a device that is configured: its entry lacks one line, and a second entry would be wrong", async () => {
    const world = createWorld();
    const room = await world.node({ peers: [{ name: "pump", address: BOARD }] });
    await say(world, room, { from: world.network.open(BOARD), offset: UNSET });
    expect(room.node.status().unknownClocks).toMatchObject([{ device: "pump", paste: "clock: any" }]);
    await world.stop();
  });

  test("names the key where it is not the first", async () => {
    const world = createWorld();
    const room = await world.node({
      keys: [{ ...vectorKey(), id: "first", mac: new Uint8Array(32) }, vectorKey()],
    });
    await say(world, room, { from: world.network.open({ host: "fe80::7", port: 9001 }), offset: UNSET });
    expect(room.node.status().unknownClocks[0]?.paste).toBe(
      `- { name: device-fe80-7-9001, address: "[fe80::7]:9001", key: ${vectorKey().id}, clock: any }`,
    );
    await world.stop();
  });

  test("cannot fill the list by one recording from many addresses", async () => {
    const world = createWorld();
    const room = await world.node({ limits: { unknown: 4 } });
    const device = createV1Device({ ...keys, channels: [] });
    const now = Math.floor(world.clock.now() / 1000) + UNSET;
    const [recorded = text("")] = device.publish({ channel: "a/b", message: "m" }, now).datagrams;
    for (let copy = 0; copy < 50; copy += 1) {
      await world.network.open().send(recorded, room.node.local() ?? BOARD);
    }
    await settle();
    expect(room.node.status().unknownClocks).toMatchObject([{ count: 50 }]);
    for (let boot = 0; boot < 10; boot += 1) await say(world, room, { offset: UNSET });
    expect(room.node.status().unknownClocks).toHaveLength(4);
    expect(room.node.status().rejected["clock-unknown"]).toBe(60);
    await world.stop();
  });
});

describe("a clock that moves while its session runs", () => {
  test("is stale, listed with offset and move and without a line to paste, until the next session", async () => {
    const world = createWorld();
    const room = await world.node();
    const from = world.network.open(BOARD);
    const device = createV1Device({ ...keys, channels: [] });
    await say(world, room, { from, device, offset: 3600 });
    await say(world, room, { from, device, offset: 3600 + 200 });
    await say(world, room, { from, device, offset: 3600 + 201 });
    const [listed, ...more] = room.node.status().unknownClocks;
    expect(more).toEqual([]);
    expect(listed).toMatchObject({
      source: "10.0.0.77:9001",
      reason: "stale",
      offset: 3801,
      likely: "it has moved 3 min 21 s ahead since its session began",
      count: 2,
    });
    expect(listed).not.toHaveProperty("paste");
    expect(room.node.status().rejected.stale).toBe(2);
    await say(world, room, { from });
    expect(room.node.status().unknownClocks).toEqual([]);
    await world.stop();
  });

  test("a repeated recording of what was taken is a replay, never a clock", async () => {
    const world = createWorld();
    const room = await world.node();
    const device = createV1Device({ ...keys, channels: [] });
    const now = Math.floor(world.clock.now() / 1000);
    const [recorded = text("")] = device.publish({ channel: "a/b", message: "m" }, now).datagrams;
    for (const seconds of [0, 40, 700, 7200]) {
      await world.clock.advance(seconds * 1000);
      await world.network.open().send(recorded, room.node.local() ?? BOARD);
    }
    await settle();
    expect(room.node.status().unknownClocks).toEqual([]);
    expect(room.node.status().rejected).toMatchObject({ replay: 3, stale: 0 });
    await world.stop();
  });
});
