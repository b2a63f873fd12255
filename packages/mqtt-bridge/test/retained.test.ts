import { expect, test } from "vitest";
import { startBench } from "./bench.ts";
import { publishOf } from "./raw-client.ts";
import { messageOf } from "./toy-hub.ts";

test("what the hub retains is what a late subscriber reads, with its properties [MQTT-3.3.1-6]", async () => {
  await using bench = await startBench();
  const set = {
    channel: "r/a",
    payload: Buffer.from("{}"),
    qos: 1,
    retain: true,
    contentType: "application/json",
  } as const;
  bench.hub.retained.set("r/a", messageOf({ ...set, priority: 4, expiresAt: bench.hub.clock.now() + 4500 }));
  bench.hub.retained.set("other", messageOf({ channel: "other", retain: true }));
  const reader = await bench.subscriber("r/#", 1);
  expect(await reader.take("publish")).toMatchObject({
    topic: "r/a",
    retain: true,
    qos: 1,
    properties: {
      contentType: "application/json",
      payloadFormatIndicator: true,
      messageExpiryInterval: 5,
      userProperties: { priority: "4" },
    },
  });
  await reader.settled();
  expect(reader.messages()).toEqual(["r/a {}"]);
});

test("set and cleared over MQTT, the hub's store is the only one [MQTT-3.3.1-6] [MQTT-3.3.1-7]", async () => {
  await using bench = await startBench();
  const writer = await bench.client();
  writer.send(publishOf({ topic: "r", payload: "1", retain: true, qos: 1, messageId: 1 }));
  await writer.take("puback");
  expect(bench.hub.retained.get("r")?.payload).toEqual(new Uint8Array(Buffer.from("1")));
  const reader = await bench.subscriber("r");
  expect(await reader.take("publish")).toMatchObject({ retain: true });
  bench.hub.retained.clear();
  const later = await bench.subscriber("r");
  await later.settled();
  expect(later.messages()).toEqual([]);
  writer.send(publishOf({ topic: "r", payload: "2", retain: true, qos: 1, messageId: 2 }));
  writer.send(publishOf({ topic: "r", payload: "", retain: true, qos: 1, messageId: 3 }));
  await writer.take("puback");
  await writer.take("puback");
  expect(bench.hub.retained.size).toBe(0);
});

test("a live message has no RETAIN flag unless the subscription asks for it [MQTT-3.3.1-12]", async () => {
  await using bench = await startBench();
  const plain = await bench.subscriber("r");
  const asPublished = await bench.client();
  asPublished.send({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "r", qos: 0, rap: true }] });
  await asPublished.take("suback");
  await bench.hub.deliver({ channel: "r", retain: true });
  expect(await plain.take("publish")).toMatchObject({ retain: false });
  expect(await asPublished.take("publish")).toMatchObject({ retain: true });
});

test("a change the hub has not committed yet is not what subscribers read, nor one that it refuses", async () => {
  await using bench = await startBench();
  bench.hub.retained.set("r", messageOf({ channel: "r", payload: Buffer.from("old"), retain: true }));
  const writer = await bench.client();
  bench.hub.holding = true;
  writer.send(publishOf({ topic: "r", payload: "new", retain: true, qos: 1, messageId: 1 }));
  await writer.settled();
  const during = await bench.subscriber("r");
  await during.take("publish");
  await during.settled();
  expect(during.messages()).toEqual(["r old"]);
  bench.hub.published[0]?.answer({ at: "refused", reason: "store-failed" });
  await writer.take("puback");
  const after = await bench.subscriber("r");
  await after.take("publish");
  await after.settled();
  expect(after.messages()).toEqual(["r old"]);
});

test.each([
  [0, 2],
  [1, 1],
  [2, 0],
] as const)("retain handling %i: %i messages when subscribing twice [MQTT-3.3.1-9]", async (rh, copies) => {
  await using bench = await startBench();
  bench.hub.retained.set("r", messageOf({ channel: "r", retain: true }));
  const reader = await bench.client();
  for (const messageId of [1, 2]) {
    reader.send({ cmd: "subscribe", messageId, subscriptions: [{ topic: "r", qos: 0, rh }] });
    await reader.take("suback");
    await reader.settled();
  }
  expect(reader.messages()).toHaveLength(copies);
});

/** More than fits in any buffer on the way. */
const MANY = process.env["NOMQ_LONG"] === undefined ? 5_000 : 20_000;

test(`${MANY} retained messages reach a subscriber that reads, at QoS 1 within its Receive Maximum`, async () => {
  await using bench = await startBench();
  for (let at = 0; at < MANY; at += 1) {
    bench.hub.retained.set(`r/${at}`, messageOf({ channel: `r/${at}`, qos: 1, retain: true }));
  }
  const reader = await bench.client({ properties: { receiveMaximum: 20 } });
  reader.send({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "r/#", qos: 1 }] });
  await reader.take("suback");
  const before = reader.got.length;
  for (let acknowledged = 0; acknowledged < MANY; acknowledged += 1) {
    const { messageId = 0 } = await reader.take("publish");
    expect(reader.got.length - before - acknowledged).toBeLessThanOrEqual(20);
    reader.send({ cmd: "puback", messageId });
  }
  expect(bench.bridge.counts().connectionsCut).toEqual({});
});
