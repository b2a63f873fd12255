import { describe, expect, test } from "vitest";
import { startBench } from "./bench.ts";
import { publishOf } from "./raw-client.ts";

const versions = [4, 5] as const;

describe.each(versions)("MQTT %i: a hub that has not answered", (protocolVersion) => {
  test("keeps PUBACK back, and QoS 0 flows meanwhile [MQTT-4.3.2-4]", async () => {
    await using bench = await startBench();
    const reader = await bench.subscriber("#", 0, { protocolVersion });
    const writer = await bench.client({ protocolVersion });
    bench.hub.holding = true;
    writer.send(publishOf({ qos: 1, messageId: 7, topic: "slow" }), publishOf({ topic: "fast" }));
    await reader.take("publish");
    await writer.settled();
    expect(reader.messages()).toEqual(["fast x"]);
    expect(writer.got.filter(({ cmd }) => cmd === "puback")).toEqual([]);
    const waiting = bench.hub.published.filter(({ draft }) => draft.qos === 1);
    expect(waiting).toHaveLength(1);
    waiting[0]?.answer({});
    expect(await writer.take("puback")).toMatchObject({ messageId: 7 });
    await writer.settled();
    expect(writer.got.filter(({ cmd }) => cmd === "puback")).toHaveLength(1);
    await reader.take("publish");
    expect(reader.messages()).toEqual(["fast x", "slow x"]);
  });

  test.each([0, 1, 2] as const)("a QoS %i publish that it refuses reaches no session", async (qos) => {
    await using bench = await startBench();
    const reader = await bench.subscriber("#", 2, { protocolVersion });
    const kept = await bench.client({ protocolVersion, clientId: "kept", clean: false });
    kept.send({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "#", qos: 2 }] });
    await kept.take("suback");
    const writer = await bench.client({ protocolVersion });
    bench.hub.holding = true;
    writer.send(publishOf({ qos, retain: true, messageId: 7, topic: "refused" }));
    await writer.settled();
    bench.hub.published[0]?.answer({ at: "refused", reason: "outbox-full: nomq:pump" });
    if (qos > 0 && protocolVersion === 4) await writer.closed;
    else await writer.settled();
    for (const client of [reader, kept]) {
      await client.settled();
      expect(client.messages()).toEqual([]);
    }
  });

  test("keeps PUBREC back, and the transfer completes once [MQTT-4.3.3-8]", async () => {
    await using bench = await startBench();
    const writer = await bench.client({ protocolVersion });
    bench.hub.holding = true;
    writer.send(publishOf({ qos: 2, messageId: 9 }), publishOf({ qos: 2, messageId: 9, dup: true }));
    await writer.settled();
    expect(writer.got.filter(({ cmd }) => cmd === "pubrec")).toEqual([]);
    expect(bench.hub.published).toHaveLength(1);
    bench.hub.published[0]?.answer({});
    expect(await writer.take("pubrec")).toMatchObject({ messageId: 9 });
    writer.send({ cmd: "pubrel", messageId: 9 });
    expect(await writer.take("pubcomp")).toMatchObject({ messageId: 9 });
    await writer.settled();
    expect(writer.got.filter(({ cmd }) => cmd === "pubrec")).toHaveLength(1);
    expect(bench.hub.released).toEqual([bench.hub.published[0]?.options.once]);
  });

  test("a hub that closes acknowledges nothing and ends the connection", async () => {
    await using bench = await startBench();
    const writer = await bench.client({ protocolVersion });
    bench.hub.holding = true;
    writer.send(publishOf({ qos: 1, messageId: 1 }), publishOf({ qos: 2, messageId: 2 }));
    await writer.settled();
    for (const one of bench.hub.published) one.fail(new Error("closed"));
    await writer.closed;
    expect(writer.got.some(({ cmd }) => cmd === "puback" || cmd === "pubrec")).toBe(false);
  });

  test("acknowledgements come in the order of the publishes [MQTT-4.6.0-2]", async () => {
    await using bench = await startBench();
    const writer = await bench.client({ protocolVersion });
    bench.hub.holding = true;
    writer.send(...[1, 2, 3].map((messageId) => publishOf({ qos: 1, messageId })));
    await writer.settled();
    for (const at of [2, 0, 1]) bench.hub.published[at]?.answer({});
    for (const messageId of [1, 2, 3]) expect(await writer.take("puback")).toMatchObject({ messageId });
  });
});

describe("a publish that the hub refuses", () => {
  test.each([
    ["outbox-full: x", 0x97],
    ["store-busy", 0x97],
    ["store-full", 0x97],
    ["access", 0x87],
    ["channel-invalid", 0x90],
    ["store-failed", 0x83],
    ["something-new", 0x80],
  ])("%s is PUBACK and PUBREC with %i in MQTT 5 [MQTT-3.4.2.1]", async (reason, reasonCode) => {
    await using bench = await startBench();
    const writer = await bench.client();
    bench.hub.holding = true;
    writer.send(publishOf({ qos: 1, messageId: 1 }), publishOf({ qos: 2, messageId: 2 }));
    await writer.settled();
    for (const one of bench.hub.published) one.answer({ at: "refused", reason });
    const said = { reasonCode, properties: { reasonString: reason } };
    expect(await writer.take("puback")).toMatchObject({ messageId: 1, ...said });
    expect(await writer.take("pubrec")).toMatchObject({ messageId: 2, ...said });
    // The refused id is free again: a new publish, not a repetition.
    writer.send(publishOf({ qos: 2, messageId: 2 }));
    await writer.settled();
    expect(bench.hub.published).toHaveLength(3);
    expect(bench.bridge.counts().messagesRefused).toEqual({ [reason.split(":")[0] ?? ""]: 2 });
  });

  test("carries no reason string to a client that wants none [MQTT-3.1.2-29]", async () => {
    await using bench = await startBench();
    const writer = await bench.client({ properties: { requestProblemInformation: false } });
    bench.hub.holding = true;
    writer.send(publishOf({ qos: 1, messageId: 1 }));
    await writer.settled();
    bench.hub.published[0]?.answer({ at: "refused", reason: "access" });
    const puback = await writer.take("puback");
    expect(puback.reasonCode).toBe(0x87);
    expect(puback.properties).toBeUndefined();
  });

  test("ends the connection in MQTT 3.1.1, which cannot say no", async () => {
    await using bench = await startBench();
    const writer = await bench.client({ protocolVersion: 4 });
    bench.hub.holding = true;
    writer.send(publishOf({ qos: 1, messageId: 1 }));
    await writer.settled();
    bench.hub.published[0]?.answer({ at: "refused", reason: "store-busy" });
    await writer.closed;
    expect(writer.got.some(({ cmd }) => cmd === "puback")).toBe(false);
  });
});

test.each(["$SYS/x", "$nowhere", "a\0b"])(
  "the channel %j is refused with 0x90, never published",
  async (topic) => {
    await using bench = await startBench();
    const writer = await bench.client();
    writer.send(publishOf({ topic, qos: 1, messageId: 1 }), publishOf({ topic, qos: 2, messageId: 2 }));
    expect(await writer.take("puback")).toMatchObject({ messageId: 1, reasonCode: 0x90 });
    expect(await writer.take("pubrec")).toMatchObject({ messageId: 2, reasonCode: 0x90 });
    writer.send(publishOf({ topic }));
    await writer.settled();
    expect(bench.hub.published).toEqual([]);
    const old = await bench.client({ protocolVersion: 4 });
    old.send(publishOf({ topic, retain: true }));
    await old.settled();
    expect(bench.hub.published).toEqual([]);
    expect(bench.bridge.counts().messagesRefused).toEqual({ "channel-invalid": 4 });
  },
);

test("more open publishes than our Receive Maximum end the connection with 0x93 [MQTT-3.3.4-9]", async () => {
  await using bench = await startBench();
  const writer = await bench.client();
  const [connack] = writer.got;
  const most = connack?.cmd === "connack" ? (connack.properties?.receiveMaximum ?? 0) : 0;
  bench.hub.holding = true;
  const ids = Array.from({ length: most }, (_, at) => at + 1);
  writer.send(...ids.map((messageId) => publishOf({ qos: 1, messageId })));
  await writer.settled();
  writer.send(publishOf({ qos: 1, messageId: most + 1 }));
  expect(await writer.take("disconnect")).toMatchObject({ reasonCode: 0x93 });
  await writer.closed;
});

test("a MQTT 3.1.1 client with much unanswered is read on when the hub answers", async () => {
  await using bench = await startBench();
  const writer = await bench.client({ protocolVersion: 4 });
  bench.hub.holding = true;
  const ids = Array.from({ length: 3000 }, (_, at) => at + 1);
  writer.send(...ids.map((messageId) => publishOf({ qos: 1, messageId, payload: "y".repeat(1000) })));
  let answered = 0;
  while (answered < ids.length) {
    await new Promise((resolve) => setImmediate(resolve));
    for (const one of bench.hub.published.slice(answered)) one.answer({});
    answered = bench.hub.published.length;
  }
  for (const messageId of ids) expect(await writer.take("puback")).toMatchObject({ messageId });
});

describe("ack: delivered", () => {
  const listen = [{ url: "mqtt://127.0.0.1:0", ack: "delivered" as const, ackTimeout: 3000 }];

  test("waits for every outcome and then acknowledges", async () => {
    await using bench = await startBench({ listen });
    const writer = await bench.client();
    bench.hub.holding = true;
    writer.send(publishOf({ qos: 1, messageId: 1 }));
    await writer.settled();
    const outcome = { attachment: "x", at: 0 };
    bench.hub.published[0]?.answer({ outcomes: [{ ...outcome, is: "pending" }] });
    await writer.settled();
    expect(writer.got.some(({ cmd }) => cmd === "puback")).toBe(false);
    bench.hub.published[0]?.finish({ at: "delivered", outcomes: [{ ...outcome, is: "delivered" }] });
    expect((await writer.take("puback")).reasonCode ?? 0).toBe(0);
  });

  test("answers 0x97 when the time is over", async () => {
    await using bench = await startBench({ listen });
    const writer = await bench.client();
    bench.hub.holding = true;
    writer.send(publishOf({ qos: 1, messageId: 1 }));
    await writer.settled();
    await bench.hub.clock.advance(3000);
    expect(await writer.take("puback")).toMatchObject({ reasonCode: 0x97 });
  });

  test("answers 0x97 when an outcome is final and not delivered", async () => {
    await using bench = await startBench({ listen });
    const writer = await bench.client();
    bench.hub.holding = true;
    writer.send(publishOf({ qos: 1, messageId: 1 }));
    await writer.settled();
    const outcomes = [{ attachment: "x", is: "dropped" as const, at: 0 }];
    bench.hub.published[0]?.answer({ outcomes });
    bench.hub.published[0]?.finish({ outcomes });
    expect(await writer.take("puback")).toMatchObject({ reasonCode: 0x97 });
  });
});

test("0x10 says that nobody got it, and only then [MQTT-3.4.2.1]", async () => {
  await using bench = await startBench();
  const writer = await bench.client();
  writer.send(
    publishOf({ topic: "lonely", qos: 1, messageId: 1 }),
    publishOf({ topic: "lonely", qos: 2, messageId: 2 }),
  );
  expect(await writer.take("puback")).toMatchObject({ reasonCode: 0x10 });
  expect(await writer.take("pubrec")).toMatchObject({ reasonCode: 0x10 });
  await bench.subscriber("lonely");
  writer.send(publishOf({ topic: "lonely", qos: 1, messageId: 3 }));
  expect((await writer.take("puback")).reasonCode ?? 0).toBe(0);
  bench.hub.holding = true;
  writer.send(publishOf({ topic: "elsewhere", qos: 1, messageId: 4 }));
  await writer.settled();
  bench.hub.published.at(-1)?.answer({ outcomes: [{ attachment: "nomq:x", is: "pending", at: 0 }] });
  expect((await writer.take("puback")).reasonCode ?? 0).toBe(0);
});

test.each([1, 2] as const)(
  "one publisher's QoS %i stays in order, retained or not [MQTT-4.6.0-6]",
  async (qos) => {
    await using bench = await startBench();
    const reader = await bench.subscriber("#", qos);
    const writer = await bench.client();
    const ids = Array.from({ length: 40 }, (_, at) => at + 1);
    writer.send(
      ...ids.map((messageId) =>
        publishOf({ qos, messageId, retain: messageId % 2 === 1, payload: String(messageId) }),
      ),
    );
    for (const _ of ids) await reader.take("publish");
    const inOrder = ids.map((id) => `a ${id}`);
    expect(reader.messages()).toEqual(inOrder);
    expect(bench.hub.published.map(({ draft }) => `a ${Buffer.from(draft.payload).toString()}`)).toEqual(
      inOrder,
    );
  },
);
