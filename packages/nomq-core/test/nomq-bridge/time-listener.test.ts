import { describe, expect, test } from "vitest";
import { createNomqBridge, type Transport } from "../../src/index.ts";
import { createWorld, type World } from "../node/node-room.ts";
import { vectorKey } from "../vectors.ts";
import { type BridgeRoom, GATEWAY, openBridge } from "./bridge-room.ts";

const TIME = { host: "10.0.0.200", port: 123 };
const REQUEST = new Uint8Array(48).fill(0x1b, 0, 1);

/** A bridge with a time service. */
const openTimed = (world: World): Promise<BridgeRoom> =>
  openBridge({
    world,
    bridge: {
      time: "udp://10.0.0.200:123",
      openTransport: async (url) => world.network.open(url.endsWith(":123") ? TIME : GATEWAY),
    },
  });

/** Unix seconds as a board without Internet gets them; undefined when nobody answers. */
async function askTime(room: BridgeRoom): Promise<number | undefined> {
  await using board = room.world.network.open();
  let seconds: number | undefined;
  board.onDatagram((reply) => {
    seconds = new DataView(reply.buffer, reply.byteOffset).getUint32(40) - 2_208_988_800;
  });
  await board.send(REQUEST, TIME);
  await room.settle();
  return seconds;
}

describe("the time service of a bridge", () => {
  test("tells the wall clock, also after a step of it, and ends with the bridge", async () => {
    const world = createWorld();
    const room = await openTimed(world);
    expect(room.bridge.addresses()).toEqual(["udp://10.0.0.200:8888"]);
    expect(room.bridge.timeAddress()).toBe("udp://10.0.0.200:123");
    expect(await askTime(room)).toBe(Math.floor(world.clock.now() / 1000));
    world.clock.step(-86_400_000);
    expect(await askTime(room)).toBe(Math.floor(world.clock.now() / 1000));
    expect(room.bridge.counts().time).toEqual({ answered: 2, ignored: 0, limited: 0 });
    await room.hub[Symbol.asyncDispose]();
    expect(await askTime(room)).toBeUndefined();
    expect(room.bridge.timeAddress()).toBeUndefined();
    await world.stop();
    expect(world.clock.pending()).toBe(0);
  });

  test("a board that was set by it is heard, and is no longer listed", async () => {
    const world = createWorld();
    const room = await openTimed(world);
    const now = Math.floor(world.clock.now() / 1000);
    const at = { host: "10.0.0.77", port: 9001 };
    const unset = room.device({ transport: world.network.open(at), offsetSeconds: 5 - now });
    await unset.publish({ channel: "a/b", message: "too early" }, GATEWAY);
    await room.settle();
    expect(room.bridge.counts().unknownClocks).toHaveLength(1);
    await unset[Symbol.asyncDispose]();
    // It boots again, asks first, and counts from 2000 as boards do.
    const told = (await askTime(room)) ?? 0;
    const set = room.device({ transport: world.network.open(at), offsetSeconds: told - now - 946_684_800 });
    await set.publish({ channel: "a/b", message: "in time", qos: 1 }, GATEWAY);
    await room.settle();
    expect(room.seen).toHaveLength(1);
    expect(room.bridge.counts().unknownClocks).toEqual([]);
    await room.stop();
  });

  test("a port that fails is opened again", async () => {
    const world = createWorld();
    const failing = Promise.withResolvers<string>();
    let opened = 0;
    const open = async (url: string): Promise<Transport> => {
      if (!url.endsWith(":123")) return world.network.open(GATEWAY);
      opened += 1;
      const transport = world.network.open(TIME);
      return opened > 1 ? transport : Object.assign(transport, { failed: failing.promise });
    };
    const room = await openBridge({ world, bridge: { time: "udp://10.0.0.200:123", openTransport: open } });
    failing.resolve("ENETDOWN");
    await room.settle();
    expect(await askTime(room)).toBeUndefined();
    await world.clock.advance(2000);
    expect(await askTime(room)).toBe(Math.floor(world.clock.now() / 1000));
    expect(opened).toBe(2);
    await room.stop();
  });

  test("a port that is taken ends the start, and the NoMQ listener closes with it", async () => {
    const world = createWorld();
    await using taken = world.network.open(TIME);
    const options = {
      time: "udp://10.0.0.200:123",
      openTransport: async (url: string) => world.network.open(url.endsWith(":123") ? taken.local : GATEWAY),
    };
    await expect(openBridge({ world, bridge: options })).rejects.toMatchObject({ code: "port-in-use" });
    await using free = world.network.open(GATEWAY);
    expect(free.local).toEqual(GATEWAY);
    await world.stop();
  });

  test("an address that is none is refused before anything opens", () => {
    const options = { listen: ["udp://127.0.0.1:0"], keys: [vectorKey()], time: "ntp.example:123" };
    expect(() => createNomqBridge(options)).toThrow("config-invalid");
  });
});
