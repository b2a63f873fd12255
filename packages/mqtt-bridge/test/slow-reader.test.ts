import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import { startBench } from "./bench.ts";
import { publishOf } from "./raw-client.ts";

const MIB = 1024 * 1024;

setFlagsFromString("--expose-gc");
const collect: unknown = runInNewContext("gc");

/** Bytes that buffers hold after garbage collections; the collector gives them back over some turns. */
async function memoryHeld(): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 20; round += 1) {
    if (typeof collect === "function") collect();
    await new Promise((resolve) => setImmediate(resolve));
    least = Math.min(least, process.memoryUsage().arrayBuffers);
  }
  return least;
}

test("a subscriber that stops reading delays nobody, costs little, and is counted [MQTT-4.9.0-1]", async () => {
  await using bench = await startBench();
  const frozen = await bench.subscriber("#");
  const healthy = await bench.subscriber("#");
  frozen.socket.pause();
  const payload = Buffer.alloc(64 * 1024, 1);
  const before = await memoryHeld();
  for (let count = 0; count < 1600; count += 1) {
    expect(await bench.hub.deliver({ channel: `c${count % 3}`, payload })).toEqual({ is: "delivered" });
    await healthy.take("publish");
    healthy.got.length = 0;
  }
  // 100 MiB went through.
  expect((await memoryHeld()) - before).toBeLessThan(16 * MIB);
  expect(bench.bridge.counts().messagesDropped["slow-reader"]).toBeGreaterThan(1000);
  await bench.hub.clock.advance(10_000);
  frozen.socket.resume();
  await frozen.closed;
  expect(bench.bridge.counts().connectionsCut).toEqual({ stalled: 1 });
  await healthy.settled();
});

test("QoS 1 to a client that never acknowledges waits in bounds; then 0x97, and its session has the rest", async () => {
  await using bench = await startBench();
  const session = {
    clientId: "s",
    clean: false,
    properties: { sessionExpiryInterval: 100, receiveMaximum: 10 },
  };
  const slow = await bench.subscriber("#", 1, session);
  const healthy = await bench.subscriber("#", 0);
  for (let count = 0; count < 10_010; count += 1) {
    await bench.hub.deliver({ qos: 1 });
    if (count % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  await slow.settled();
  expect(slow.messages()).toHaveLength(10);
  await bench.hub.deliver({ qos: 1 });
  expect(await slow.take("disconnect")).toMatchObject({ reasonCode: 0x97 });
  await slow.closed;
  await healthy.settled();
  expect(healthy.messages()).toHaveLength(10_011);
  const again = await bench.client(session);
  for (let count = 0; count < 10; count += 1) await again.take("publish");
  expect(bench.bridge.counts().messagesDropped).toEqual({});
});

test("the client's Receive Maximum is kept [MQTT-3.3.4-7]", async () => {
  await using bench = await startBench();
  const reader = await bench.subscriber("#", 2, { properties: { receiveMaximum: 2 } });
  for (const qos of [1, 2, 1] as const) await bench.hub.deliver({ channel: `q${qos}`, qos });
  await reader.settled();
  expect(reader.messages()).toHaveLength(2);
  const two = reader.got.find((one) => one.cmd === "publish" && one.qos === 2)?.messageId ?? 0;
  reader.send({ cmd: "pubrec", messageId: two });
  await reader.take("pubrel");
  await reader.settled();
  expect(reader.messages()).toHaveLength(2);
  reader.send({ cmd: "pubcomp", messageId: two });
  await reader.settled();
  expect(reader.messages()).toHaveLength(3);
});

test("what is larger than the client's Maximum Packet Size is not sent, and counts as delivered [MQTT-3.1.2-24]", async () => {
  await using bench = await startBench();
  const session = {
    clientId: "s",
    clean: false,
    properties: { sessionExpiryInterval: 100, maximumPacketSize: 100 },
  };
  const reader = await bench.subscriber("#", 2, session);
  const payload = Buffer.alloc(200);
  for (const qos of [0, 1, 2] as const) await bench.hub.deliver({ channel: `large${qos}`, qos, payload });
  for (const qos of [0, 1, 2] as const) await bench.hub.deliver({ channel: `small${qos}`, qos });
  for (let count = 0; count < 3; count += 1) await reader.take("publish");
  await reader.settled();
  expect(reader.messages().map((one) => one.slice(0, 5))).toEqual(["small", "small", "small"]);
  expect(reader.got.some(({ cmd }) => cmd === "pubrel")).toBe(false);
  expect(bench.bridge.counts().messagesDropped).toEqual({ "too-large": 3 });
  await reader.end();
  const again = await bench.client({ ...session, properties: { sessionExpiryInterval: 100 } });
  await again.settled();
  expect(
    again
      .messages()
      .map((one) => one.slice(0, 6))
      .sort(),
  ).toEqual(["small1", "small2"]);
});

test("messages of one turn leave in one write", async () => {
  await using bench = await startBench();
  const reader = await bench.subscriber("#");
  let chunks = 0;
  reader.socket.on("data", () => {
    chunks += 1;
  });
  await Promise.all(Array.from({ length: 100 }, () => bench.hub.deliver({})));
  for (let count = 0; count < 100; count += 1) await reader.take("publish");
  expect(chunks).toBeLessThan(20);
});

test("an expired message is not sent, and what is left of its time is told [MQTT-3.3.2-6]", async () => {
  await using bench = await startBench();
  const reader = await bench.subscriber("#", 1);
  await bench.hub.deliver({ channel: "left", qos: 1 }, 2500);
  expect(await reader.take("publish")).toMatchObject({ properties: { messageExpiryInterval: 3 } });
  const writer = await bench.client();
  writer.send(publishOf({ topic: "none", properties: { messageExpiryInterval: 9 } }));
  expect(await reader.take("publish")).toMatchObject({ properties: { messageExpiryInterval: 9 } });
});
