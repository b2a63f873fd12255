import { describe, expect, test } from "vitest";
import type { Endpoint, MessagesOptions, PublishOutcome } from "../../src/index.ts";
import { createNomqNode } from "../../src/index.ts";
import { settle } from "../../src/testing/index.ts";
import { vectorKey } from "../vectors.ts";
import { createRoom, createWorld, type Room, read, stateOf, text, until, type World } from "./node-room.ts";

const at = (room: Room): Endpoint => room.node.local() ?? { host: "", port: 0 };

/** A node whose messages are iterated, and one that sends to it. */
async function pair(world: World): Promise<{ to: Room; from: Room }> {
  const to = await world.node({ channels: ["a/b", "c"] }, "iterated");
  const from = await world.node({ peers: [{ name: "to", address: at(to), kind: "node" }] });
  return { to, from };
}

/** Iterates without end; `seen` has what was taken. */
function reader(room: Room, options: MessagesOptions = {}): string[] {
  const seen: string[] = [];
  void (async () => {
    for await (const { payload } of room.node.messages(options)) seen.push(read(payload));
    seen.push("end");
  })();
  return seen;
}

function sender(room: Room): {
  send(message: string, qos?: 0 | 1 | 2, channel?: string): void;
  ended: string[];
} {
  const ended: string[] = [];
  return {
    ended,
    send(message, qos = 1, channel = "a/b") {
      const note = ({ is }: PublishOutcome): void => void ended.push(`${message} ${is}`);
      void room.node.publish(channel, text(message), { qos, to: "to" }).then(note);
    },
  };
}

describe("node.messages", () => {
  test("gives every QoS once, and ends with the node or its signal", async () => {
    const world = createWorld();
    const { to, from } = await pair(world);
    const controller = new AbortController();
    const all = reader(to);
    const some = reader(to, { channels: ["c"], signal: controller.signal });
    const { send, ended } = sender(from);
    for (const qos of [0, 1, 2] as const) send(`m${qos}`, qos);
    send("other", 1, "c");
    await world.clock.advance(5000);
    expect(all).toEqual(["m0", "m1", "m2", "other"]);
    expect(some).toEqual(["other"]);
    expect(ended.sort()).toEqual(["m0 delivered", "m1 delivered", "m2 delivered", "other delivered"]);
    controller.abort();
    await settle();
    expect(some.at(-1)).toBe("end");
    await to.node.stop();
    await settle();
    expect(all.at(-1)).toBe("end");
    await world.stop();
    expect(world.clock.pending()).toBe(0);
  });

  test("acknowledges when the loop takes the message, not when it arrives", async () => {
    const world = createWorld();
    const { to, from } = await pair(world);
    const messages = to.node.messages()[Symbol.asyncIterator]();
    const first = messages.next();
    const { send, ended } = sender(from);
    send("one");
    send("two");
    await world.clock.advance(10_000);
    expect((await first).value?.channel).toBe("a/b");
    expect(ended).toEqual(["one delivered"]);
    await messages.next();
    await world.clock.advance(40_000);
    expect(ended).toEqual(["one delivered", "two delivered"]);
    await messages.return?.();
    await world.stop();
  });

  test("with its queue full acknowledges nothing: the sender tries again and nothing is lost", async () => {
    const world = createWorld();
    const { to, from } = await pair(world);
    const messages = to.node.messages({ queue: 2 })[Symbol.asyncIterator]();
    const first = messages.next();
    const { send, ended } = sender(from);
    for (let each = 0; each < 6; each += 1) send(`m${each}`, 2);
    await world.clock.advance(100);
    expect(ended).toEqual(["m0 delivered"]);
    const seen = [read((await first).value?.payload ?? text(""))];
    for (let left = 5; left > 0; left -= 1) {
      let value: Uint8Array | undefined;
      void messages.next().then((result) => {
        value = result.value?.payload;
      });
      await until(world.clock, () => value !== undefined, 200_000);
      seen.push(read(value ?? text("")));
    }
    await until(world.clock, () => ended.length === 6, 300_000);
    expect([...seen].sort()).toEqual(["m0", "m1", "m2", "m3", "m4", "m5"]);
    expect(ended.every((line) => line.endsWith("delivered"))).toBe(true);
    await messages.return?.();
    await world.stop();
  });

  test("a reader that leaves takes nothing with it", async () => {
    const world = createWorld();
    const { to, from } = await pair(world);
    const messages = to.node.messages()[Symbol.asyncIterator]();
    const first = messages.next();
    const { send, ended } = sender(from);
    send("one");
    send("two");
    await world.clock.advance(50);
    await first;
    await messages.return?.();
    const next = reader(to);
    await world.clock.advance(60_000);
    expect(next).toEqual(["two"]);
    expect(ended.sort()).toEqual(["one delivered", "two delivered"]);
    await world.stop();
  });

  test("what was taken is no news to the node's next life", async () => {
    const world = createWorld();
    const { to, from } = await pair(world);
    const copies: Uint8Array[] = [];
    world.network.change({
      drop: (datagram, source) => {
        if (source.host === at(from).host) copies.push(datagram.slice());
        return false;
      },
    });
    const seen = reader(to);
    sender(from).send("one");
    await world.clock.advance(5000);
    expect(seen).toEqual(["one"]);
    await to.node.stop();
    const transport = world.network.open();
    const next = createRoom({ clock: world.clock, keys: [vectorKey()], transport }, "iterated");
    await next.node.restore(stateOf(to));
    await next.node.start();
    const again = reader(next);
    for (const copy of copies) await world.network.open().send(copy, transport.local);
    await settle();
    expect(again).toEqual([]);
    expect(next.node.status().rejected.replay).toBe(copies.length);
    await next.node.stop();
    await world.stop();
  });

  test("and a receiver with a message method exclude each other", async () => {
    const world = createWorld();
    const taken = await world.node();
    expect(() => taken.node.messages()).toThrow(/receiver-in-use/);
    const node = createNomqNode({ clock: world.clock, keys: [vectorKey()], transport: world.network.open() });
    const messages = node.messages()[Symbol.asyncIterator]();
    const first = messages.next();
    expect(() => node.receive({ message: async () => ({ is: "accepted" }) })).toThrow(/receiver-in-use/);
    node.receive({ heard: () => undefined });
    await node.stop();
    expect((await first).done).toBe(true);
    await world.stop();
  });
});

test("readers that have stopped reading hold up nobody else's messages", async () => {
  const world = createWorld();
  const room = await world.node({ channels: ["a/b", "c"], limits: { handing: 8 } }, "iterated");
  const stalled = room.node.messages({ channels: ["a/b"] })[Symbol.asyncIterator]();
  const first = stalled.next();
  const other = room.node.messages({ channels: ["c"] })[Symbol.asyncIterator]();
  const heard = other.next();
  const device = world.device();
  for (let each = 0; each < 20; each += 1) {
    await device.publish({ channel: "a/b", message: `${each}` }, at(room));
    await settle();
  }
  await device.publish({ channel: "c", message: "heard" }, at(room));
  await settle();
  expect((await first).done).toBe(false);
  expect(Buffer.from((await heard).value?.payload ?? []).toString()).toBe("heard");
  await world.stop();
});
