import type { ISubscription } from "mqtt-packet";
import { describe, expect, test } from "vitest";
import { startBench } from "./bench.ts";
import { publishOf } from "./raw-client.ts";

const at = (topic: string, qos: 0 | 1 | 2 = 0, more: Partial<ISubscription> = {}): ISubscription => ({
  topic,
  qos,
  ...more,
});

describe("SUBACK has one code for each filter, in order [MQTT-3.8.4-6]", () => {
  const cases: readonly (readonly [
    string,
    readonly ISubscription[],
    readonly number[],
    readonly number[],
  ])[] = [
    ["a filter twice", [at("a", 1), at("b"), at("a", 2)], [1, 0, 2], [1, 0, 2]],
    ["names that look like numbers", [at("7", 2), at("10", 1), at("2")], [2, 1, 0], [2, 1, 0]],
    [
      "names of prototypes",
      [at("__proto__", 1), at("constructor", 2), at("__proto__")],
      [1, 2, 0],
      [1, 2, 0],
    ],
    ["shared between others", [at("a"), at("$share/g/b", 1), at("a", 1)], [0, 0x9e, 1], [0, 0x80, 1]],
    [
      "the broker's own topics",
      [at("$SYS/#"), at("$SYS/nomq/new/clients"), at("#")],
      [0x87, 0x87, 0],
      [0x80, 0x80, 0],
    ],
    [
      "what is no filter",
      [at("a/#/b"), at("a+"), at("ok"), at("a#")],
      [0x8f, 0x8f, 0, 0x8f],
      [0x80, 0x80, 0, 0x80],
    ],
    ["what is forbidden", [at("secret/x", 1), at("a", 1)], [0x87, 1], [0x80, 1]],
  ];
  for (const version of [4, 5] as const) {
    test.each(cases)(`%s, MQTT ${version}`, async (_name, subscriptions, codes5, codes311) => {
      await using bench = await startBench();
      bench.hub.forbidden = (_action, channel) => channel.startsWith("secret/");
      const client = await bench.client({ protocolVersion: version });
      client.send({ cmd: "subscribe", messageId: 77, subscriptions: [...subscriptions] });
      const suback = await client.take("suback");
      expect(suback).toMatchObject({ messageId: 77, granted: version === 5 ? codes5 : codes311 });
      await client.settled();
      expect(client.got.filter(({ cmd }) => cmd === "suback")).toHaveLength(1);
    });
  }
});

test("the hub is asked for exactly what sessions subscribe to, before SUBACK", async () => {
  await using bench = await startBench();
  const one = await bench.subscriber("x/+");
  expect([...bench.hub.filters]).toEqual(["x/+"]);
  const two = await bench.subscriber("x/+");
  one.send({ cmd: "unsubscribe", messageId: 3, unsubscriptions: ["x/+", "never"] });
  expect(await one.take("unsuback")).toMatchObject({ granted: [0, 0x11] });
  await one.settled();
  expect([...bench.hub.filters]).toEqual(["x/+"]);
  await two.end();
  while (bench.hub.filters.size > 0) await new Promise((resolve) => setImmediate(resolve));
});

test("aedes' own $SYS messages reach nobody and never the hub [MQTT-4.7.2-1]", async () => {
  await using bench = await startBench();
  const client = await bench.subscriber("#", 2);
  await bench.subscriber("+/+/#", 2);
  await client.settled();
  expect(client.messages()).toEqual([]);
  expect(bench.hub.published).toEqual([]);
});

describe("QoS of what is delivered [MQTT-3.3.4-2] [MQTT-3.8.4-8]", () => {
  const filters: readonly (readonly [string, readonly ISubscription[], number])[] = [
    ["a wildcard at QoS 1", [at("a/#", 1)], 1],
    ["filters at 0 and 2", [at("a/#", 0), at("a/b", 2)], 2],
    ["filters at 2 and 0", [at("a/b", 2), at("a/+", 0)], 2],
    ["filters at 0 and 1", [at("#", 0), at("a/+", 1)], 1],
  ];
  test.each(filters)("live QoS 2 to %s comes once, at %i", async (_name, subscriptions, qos) => {
    await using bench = await startBench();
    const reader = await bench.client();
    reader.send({ cmd: "subscribe", messageId: 1, subscriptions: [...subscriptions] });
    await reader.take("suback");
    await bench.hub.deliver({ channel: "a/b", qos: 2 });
    expect(await reader.take("publish")).toMatchObject({ qos: qos === 2 ? 2 : 1 });
    await reader.settled();
    expect(reader.messages()).toHaveLength(1);
  });

  test.each(filters)("stored QoS 2 to %s comes once, at %i", async (_name, subscriptions, qos) => {
    await using bench = await startBench();
    const session = { clientId: "s", clean: false, properties: { sessionExpiryInterval: 100 } };
    const before = await bench.client(session);
    before.send({ cmd: "subscribe", messageId: 1, subscriptions: [...subscriptions] });
    await before.take("suback");
    await before.end();
    await bench.gone();
    await bench.hub.deliver({ channel: "a/b", qos: 2 });
    const reader = await bench.client(session);
    expect(await reader.take("publish")).toMatchObject({ qos });
    await reader.settled();
    expect(reader.messages()).toHaveLength(1);
  });

  test("retained QoS 2 to a wildcard at QoS 1 comes at 1", async () => {
    await using bench = await startBench();
    const writer = await bench.client();
    writer.send(publishOf({ topic: "a/b", qos: 2, messageId: 1, retain: true }));
    await writer.take("pubrec");
    const reader = await bench.subscriber("a/#", 1);
    expect(await reader.take("publish")).toMatchObject({ qos: 1, retain: true });
  });
});

test("all matching subscription identifiers come with one copy [MQTT-3.3.4-4]", async () => {
  await using bench = await startBench();
  const reader = await bench.client();
  for (const [id, filter] of [
    [5, "a/#"],
    [6, "a/b"],
    [7, "other"],
  ] as const) {
    const properties = { subscriptionIdentifier: id };
    reader.send({ cmd: "subscribe", messageId: id, subscriptions: [at(filter, 1)], properties });
    await reader.take("suback");
  }
  await bench.hub.deliver({ channel: "a/b" });
  const got = await reader.take("publish");
  expect([got.properties?.subscriptionIdentifier].flat().sort()).toEqual([5, 6]);
  await reader.settled();
  expect(reader.messages()).toHaveLength(1);
});

test("no local: a client's own message does not come back, others do [MQTT-3.8.3-3]", async () => {
  await using bench = await startBench();
  const client = await bench.client();
  client.send({ cmd: "subscribe", messageId: 1, subscriptions: [at("a", 1, { nl: true })] });
  await client.take("suback");
  client.send(publishOf({ payload: "mine" }));
  await bench.hub.deliver({ payload: Buffer.from("theirs") });
  await client.take("publish");
  await client.settled();
  expect(client.messages()).toEqual(["a theirs"]);
});

test("nothing the hub sends into the broker returns to the hub", async () => {
  await using bench = await startBench();
  const reader = await bench.subscriber("#", 2);
  for (const qos of [0, 1, 2] as const) {
    await bench.hub.deliver({ channel: `q${qos}`, qos, retain: qos === 1 });
    await reader.take("publish");
  }
  expect(bench.hub.published).toEqual([]);
});

test("a right withdrawn stops a running subscription", async () => {
  await using bench = await startBench();
  const reader = await bench.subscriber("#", 1);
  await bench.hub.deliver({ channel: "open" });
  await reader.take("publish");
  bench.hub.forbidden = (action) => action === "subscribe";
  await bench.hub.deliver({ channel: "closed", qos: 1 });
  await reader.settled();
  expect(reader.messages()).toEqual(["open payload"]);
  expect(bench.bridge.counts().messagesDropped).toEqual({ access: 1 });
});

test("a filter the hub refuses costs no other client its subscription", async () => {
  await using bench = await startBench();
  bench.hub.refusedFilters.add("bad");
  const [honest, hostile] = [await bench.client(), await bench.client()];
  for (let round = 0; round < 20; round += 1) {
    hostile.send({ cmd: "subscribe", messageId: 1, subscriptions: [at("bad")] });
    honest.send({ cmd: "subscribe", messageId: 1, subscriptions: [at(`ok/${round}`)] });
    expect(await honest.take("suback")).toMatchObject({ granted: [0] });
    expect(await hostile.take("suback")).toMatchObject({ granted: [0x87] });
  }
});

describe("what one client may hold is bounded", () => {
  const deep = (name: string): string => `${name}/${"+/".repeat(509)}x`;

  test("in levels, each of which costs memory", async () => {
    await using bench = await startBench();
    const client = await bench.client();
    const granted: number[] = [];
    for (let id = 1; id <= 4; id += 1) {
      const subscriptions = Array.from({ length: 60 }, (_, one) => at(deep(`${id}-${one}`)));
      client.send({ cmd: "subscribe", messageId: id, subscriptions });
      granted.push(...(await client.take("suback")).granted.map(Number));
    }
    // 195 filters of 511 levels are 99,645.
    expect(granted).toEqual([...Array<number>(195).fill(0), ...Array<number>(45).fill(0x97)]);
    client.send({ cmd: "unsubscribe", messageId: 9, unsubscriptions: [deep("1-0")] });
    await client.take("unsuback");
    client.send({ cmd: "subscribe", messageId: 10, subscriptions: [at(deep("again")), at(deep("more"))] });
    expect(await client.take("suback")).toMatchObject({ granted: [0, 0x97] });
  });

  test("in filters, whose number is not counted anew for each of a large packet", async () => {
    await using bench = await startBench();
    const client = await bench.client();
    for (let id = 1; id <= 2; id += 1) {
      const subscriptions = Array.from({ length: 6000 }, (_, one) => at(`f/${id}/${one}`));
      client.send({ cmd: "subscribe", messageId: id, subscriptions });
      const { granted } = await client.take("suback");
      expect(granted.filter((code) => code === 0)).toHaveLength(id === 1 ? 6000 : 4000);
    }
  });

  test("in depth: 512 levels of one filter", async () => {
    await using bench = await startBench();
    const client = await bench.client();
    const subscriptions = [at("/".repeat(511)), at("/".repeat(512)), at("/".repeat(65_000))];
    client.send({ cmd: "subscribe", messageId: 1, subscriptions });
    expect(await client.take("suback")).toMatchObject({ granted: [0, 0x8f, 0x8f] });
  });
});
