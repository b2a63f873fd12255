import { describe, expect, test } from "vitest";
import type { Endpoint, KnownPeer, PresenceChange } from "../../src/index.ts";
import { settle } from "../../src/testing/index.ts";
import { createWorld, type Room, text, type World } from "./node-room.ts";

const PUMP: Endpoint = { host: "10.0.0.77", port: 9001 };
const pump: KnownPeer = { name: "pump", address: PUMP, channels: ["a/b"] };
const at = (room: Room): Endpoint => room.node.local() ?? { host: "", port: 0 };

/** What a reader of presence sees, as `PEER STATE REASON`. */
function follow(room: Room, signal?: AbortSignal): string[] {
  const seen: string[] = [];
  void (async () => {
    for await (const { peer, state, reason } of room.node.presence(signal === undefined ? {} : { signal })) {
      seen.push(`${peer.id} ${state} ${reason}`);
    }
    seen.push("end");
  })();
  return seen;
}

function heartbeats(device: { received: readonly { datagram: Uint8Array }[] }): number {
  return device.received.filter(({ datagram }) => datagram[3] === 5).length;
}

const boardOn = (world: World, over = {}) => world.device({ transport: world.network.open(PUMP), ...over });

describe("a known device", () => {
  test("is asked after 60 s of silence and only then; its answer keeps it online", async () => {
    const world = createWorld();
    const room = await world.node({ peers: [pump] });
    const seen = follow(room);
    const device = boardOn(world);
    await device.publish({ channel: "a/b", message: "m" }, at(room));
    await world.clock.advance(59_000);
    expect(heartbeats(device)).toBe(0);
    await world.clock.advance(2000);
    expect(heartbeats(device)).toBe(1);
    await world.clock.advance(600_000);
    expect(heartbeats(device)).toBeGreaterThanOrEqual(9);
    expect(heartbeats(device)).toBeLessThanOrEqual(11);
    expect(seen).toEqual(["pump offline never-heard", "pump online heard"]);
    await world.stop();
    expect(world.clock.pending()).toBe(0);
  });

  test("is not asked while it talks", async () => {
    const world = createWorld();
    const room = await world.node({ peers: [pump] });
    const device = boardOn(world);
    for (let minute = 0; minute < 20; minute += 1) {
      await device.publish({ channel: "a/b", message: "m" }, at(room));
      await world.clock.advance(30_000);
    }
    expect(heartbeats(device)).toBe(0);
    await world.stop();
  });

  test("is offline after three heartbeats without an answer, and online again with its next answer", async () => {
    const world = createWorld();
    const room = await world.node({ peers: [pump] });
    const seen = follow(room);
    const device = boardOn(world);
    await device.publish({ channel: "a/b", message: "m" }, at(room));
    await world.clock.advance(0);
    device.cut.add("HEARTBEAT");
    await world.clock.advance(74_000);
    expect(heartbeats(device)).toBe(3);
    expect(seen.at(-1)).toBe("pump online heard");
    await world.clock.advance(3000);
    expect(seen.at(-1)).toBe("pump offline silent");
    device.cut.clear();
    await world.clock.advance(61_000);
    expect(seen.slice(2)).toEqual(["pump offline silent", "pump online answered"]);
    await world.stop();
  });

  test("with one heartbeat lost is not offline", async () => {
    const world = createWorld();
    const room = await world.node({ peers: [pump] });
    const seen = follow(room);
    const device = boardOn(world);
    await device.publish({ channel: "a/b", message: "m" }, at(room));
    device.cut.add("HEARTBEAT");
    await world.clock.advance(62_000);
    device.cut.clear();
    await world.clock.advance(300_000);
    expect(seen).toEqual(["pump offline never-heard", "pump online heard"]);
    await world.stop();
  });

  test.each([0, -946_684_800])(
    "that has never spoken is found whatever its epoch (%s)",
    async (offsetSeconds) => {
      const world = createWorld();
      const room = await world.node({ peers: [pump] });
      const seen = follow(room);
      boardOn(world, { offsetSeconds });
      await world.clock.advance(70_000);
      expect(seen).toEqual(["pump offline never-heard", "pump online answered"]);
      await world.stop();
    },
  );

  test("without channels is asked with one it was heard on; without that it is gone after the session timeout", async () => {
    const world = createWorld();
    const peers = [
      { name: "pump", address: PUMP },
      { name: "mute", address: { host: "10.0.0.78", port: 9002 } },
    ];
    const room = await world.node({ peers, sessionTimeout: 200_000 });
    const seen = follow(room);
    const device = boardOn(world);
    const mute = world.device({ transport: world.network.open(peers[1]?.address), channels: ["x"] });
    await device.publish({ channel: "a/b", message: "m" }, at(room));
    await mute.publish({ channel: "a/b", message: "m" }, at(room));
    await world.clock.advance(65_000);
    expect(heartbeats(device)).toBe(1);
    await world.clock.advance(200_000);
    expect(seen.filter((line) => line.startsWith("pump"))).toEqual([
      "pump offline never-heard",
      "pump online heard",
    ]);
    expect(seen.filter((line) => line.startsWith("mute")).at(-1)).toBe("mute offline silent");
    await world.stop();
  });

  test("that only publishes, on a channel it answers nothing for, is not taken for silent between its messages", async () => {
    const world = createWorld();
    const room = await world.node({ peers: [{ name: "pump", address: PUMP }] });
    const seen = follow(room);
    const device = boardOn(world, { channels: ["x"] });
    for (let round = 0; round < 10; round += 1) {
      await device.publish({ channel: "a/b", message: "m" }, at(room));
      await world.clock.advance(240_000);
    }
    expect(seen).toEqual(["pump offline never-heard", "pump online heard"]);
    await world.stop();
  });

  test("that leaves a message unanswered is offline", async () => {
    const world = createWorld();
    const room = await world.node({ peers: [pump], probe: 0 });
    const seen = follow(room);
    const device = boardOn(world);
    await device.publish({ channel: "a/b", message: "m" }, at(room));
    await world.clock.advance(10);
    device.cut.add("ACK");
    void room.node.publish("a/b", text("m"), { to: "pump", qos: 1 });
    await world.clock.advance(60_000);
    expect(seen.at(-1)).toBe("pump offline silent");
    await world.stop();
  });

  test("is asked by nobody with probe: 0", async () => {
    const world = createWorld();
    const room = await world.node({ peers: [pump], probe: 0 });
    const seen = follow(room);
    const device = boardOn(world);
    await device.publish({ channel: "a/b", message: "m" }, at(room));
    await world.clock.advance(1_000_000);
    expect(heartbeats(device)).toBe(0);
    expect(seen.at(-1)).toBe("pump offline silent");
    await world.stop();
  });
});

describe("between nodes of ours", () => {
  test("each knows that the other is there; one that stops has left", async () => {
    const world = createWorld();
    const up = await world.node();
    const down = await world.node();
    const upSees = follow(up);
    const downSees = follow(down);
    await down.node.subscribe("a/b", at(up));
    await world.clock.advance(600_000);
    const id = `${at(down).host}:${at(down).port}`;
    expect(upSees).toEqual([`${id} online heard`]);
    expect(downSees).toEqual([`${at(up).host}:${at(up).port} online answered`]);
    await down.node.stop();
    await settle();
    expect(upSees.slice(1)).toEqual([`${id} offline left`]);
    expect(downSees.slice(1)).toEqual([`${at(up).host}:${at(up).port} offline stopped`, "end"]);
    await world.stop();
    expect(world.clock.pending()).toBe(0);
  });

  test("one that is cut off is silent, and its subscriptions end with the session timeout", async () => {
    const world = createWorld();
    const ended: string[] = [];
    const up = await world.node({}, { unsubscribed: (_, channel) => void ended.push(channel) });
    const down = await world.node();
    const seen = follow(up);
    await down.node.subscribe("a/b", at(up));
    await world.clock.advance(10_000);
    world.network.change({ drop: (_, from) => from.host === at(down).host });
    await world.clock.advance(90_000);
    expect(seen.at(-1)).toContain("offline silent");
    expect(ended).toEqual([]);
    await world.clock.advance(300_000);
    expect(ended).toEqual(["a/b"]);
    await world.stop();
  });
});

test("a subscription whose UNSUBSCRIBE was lost ends though the node keeps talking; one that is said again stays", async () => {
  const world = createWorld();
  const ended: string[] = [];
  const channels = ["a/b", "c"];
  const up = await world.node({ channels }, { unsubscribed: (_, channel) => void ended.push(channel) });
  const down = await world.node({ channels });
  for (const channel of channels) await down.node.subscribe(channel, at(up));
  await world.clock.advance(20_000);
  world.network.change({ drop: () => true });
  await down.node.unsubscribe("a/b", at(up));
  await world.clock.advance(0);
  world.network.change({ drop: () => false });
  for (let minute = 0; minute < 4; minute += 1) {
    void down.node.publish("c", text("still here"), { to: at(up) });
    await world.clock.advance(60_000);
  }
  expect(ended).toEqual([]);
  for (let minute = 0; minute < 6; minute += 1) {
    void down.node.publish("c", text("still here"), { to: at(up) });
    await world.clock.advance(60_000);
  }
  expect(ended).toEqual(["a/b"]);
  expect(await up.node.publish("a/b", text("m"))).toMatchObject({ is: "refused", reason: "no-subscriber" });
  await up.node.publish("c", text("m"));
  await world.clock.advance(10_000);
  expect(down.texts()).toEqual(["m"]);
  await world.stop();
});

describe("node.probe", () => {
  test("says at once whether a peer is there", async () => {
    const world = createWorld();
    const room = await world.node({ peers: [pump] });
    const asked = async (): Promise<boolean | undefined> => {
      let answer: boolean | undefined;
      void room.node.probe("pump").then((value) => {
        answer = value;
      });
      await world.clock.advance(6000);
      return answer;
    };
    expect(await asked()).toBe(false);
    const device = boardOn(world);
    expect(await asked()).toBe(true);
    device.cut.add("HEARTBEAT");
    expect(await asked()).toBe(false);
    await expect(room.node.probe({ host: "10.9.9.9", port: 1 })).rejects.toMatchObject({
      code: "config-invalid",
    });
    await expect(room.node.probe("nobody")).rejects.toMatchObject({ code: "config-invalid" });
    await world.stop();
    expect(world.clock.pending()).toBe(0);
  });
});

test("each reader of presence has its own; an abort ends it; a slow one sees the latest of each peer", async () => {
  const world = createWorld();
  const room = await world.node({ peers: [pump] });
  const controller = new AbortController();
  const quick = follow(room, controller.signal);
  const slow = room.node.presence()[Symbol.asyncIterator]();
  const take = async (): Promise<PresenceChange | undefined> => {
    const result = await slow.next();
    return result.done === true ? undefined : result.value;
  };
  expect(await take()).toMatchObject({ state: "offline", reason: "never-heard" });
  const device = boardOn(world);
  for (let round = 0; round < 3; round += 1) {
    device.cut.clear();
    await device.publish({ channel: "a/b", message: "m" }, at(room));
    await world.clock.advance(1000);
    device.cut.add("HEARTBEAT");
    await world.clock.advance(90_000);
  }
  expect(quick).toHaveLength(7);
  expect(await take()).toMatchObject({ state: "offline", reason: "silent", peer: { id: "pump" } });
  controller.abort();
  await settle();
  expect(quick.at(-1)).toBe("end");
  await room.node.stop();
  expect(await take()).toBeUndefined();
  await world.stop();
});
