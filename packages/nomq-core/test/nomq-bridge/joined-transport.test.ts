import { expect, test } from "vitest";
import type { Outcome } from "../../src/index.ts";
import { openJoined } from "../../src/nomq-bridge/joined-transport.ts";
import { createV1Device, settle } from "../../src/testing/index.ts";
import { createWorld, text } from "../node/node-room.ts";
import { vectorKey } from "../vectors.ts";
import { openBridge, texts } from "./bridge-room.ts";

const ONE = { host: "10.0.0.200", port: 8888 };
const TWO = { host: "10.0.0.201", port: 9999 };

test("several listeners are one node: answers leave where the question came in, replays are known to all", async () => {
  const world = createWorld();
  const room = await openBridge({
    world,
    bridge: {
      listen: ["udp://10.0.0.200:8888", "udp://10.0.0.201:9999"],
      openTransport: async (url) => world.network.open(url.endsWith("8888") ? ONE : TWO),
    },
  });
  expect(room.bridge.addresses()).toEqual(["udp://10.0.0.200:8888", "udp://10.0.0.201:9999"]);
  const { encryption, mac } = vectorKey();
  const device = createV1Device({ encryption, mac });
  const now = Math.floor(world.clock.now() / 1000);
  const publish = (message: string): Uint8Array =>
    device.publish({ channel: "a/b", message, qos: 1 }, now).datagrams[0] ?? text("");
  const socket = world.network.open();
  const answersFrom: number[] = [];
  socket.onDatagram((_, from) => void answersFrom.push(from.port));
  for (const [message, to] of [
    ["one", ONE],
    ["two", TWO],
    ["three", ONE],
  ] as const) {
    await socket.send(publish(message), to);
    await room.settle();
  }
  expect(answersFrom).toEqual([8888, 9999, 8888]);
  const recorded = publish("four");
  await socket.send(recorded, ONE);
  await room.settle();
  await world.network.open().send(recorded, TWO);
  await room.settle();
  expect(texts(room.seen)).toEqual(["one", "two", "three", "four"]);
  expect(room.bridge.counts().rejected.replay).toBe(1);
  await room.stop();
});

test("each listener acknowledges at its own point, whoever of the devices was heard at another before", async () => {
  const world = createWorld();
  const room = await openBridge({
    world,
    bridge: {
      listen: [
        { url: "udp://10.0.0.200:8888", ack: "delivered", ackTimeout: 2_000 },
        { url: "udp://10.0.0.201:9999", ack: "stored" },
      ],
      openTransport: async (url) => world.network.open(url.endsWith("8888") ? ONE : TWO),
    },
  });
  let answer: (outcome: Outcome) => void = () => undefined;
  room.outcome = () =>
    new Promise((resolve) => {
      answer = resolve;
    });
  const device = room.device();
  const send = async (message: string, to: typeof ONE): Promise<void> => {
    await device.publish({ channel: "a/b", message, qos: 1 }, to);
    await room.settle();
  };
  await send("waits", ONE);
  expect(device.pending().size).toBe(1);
  await send("stored", TWO);
  expect(device.pending().size).toBe(1);
  answer({ is: "delivered" });
  await room.settle();
  expect(device.pending().size).toBe(0);
  // The message at the other listener is still open: this one waits behind it, for no more than two seconds.
  await send("late", ONE);
  await world.clock.advance(2_500);
  answer({ is: "delivered" });
  await room.settle();
  expect(device.pending().size).toBe(1);
  await room.stop();
});

test("when one listener cannot be opened, none stays open", async () => {
  const world = createWorld();
  world.network.open(TWO);
  const opening = openJoined(["1", "2"], async (url) => world.network.open(url === "1" ? ONE : TWO));
  await expect(opening).rejects.toThrow(/port-in-use/);
  await using again = world.network.open(ONE);
  expect(again.local).toEqual(ONE);
  await settle();
});
