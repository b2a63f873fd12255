import type { Draft } from "@nomq/core";
import fc from "fast-check";
import { generate, parser } from "mqtt-packet";
import { describe, expect, test } from "vitest";
import { publishFault } from "../src/front/publish-fault.ts";
import { draftFromPublish, publishFromMessage } from "../src/mapping.ts";
import { startBench } from "./bench.ts";
import { publishOf } from "./raw-client.ts";
import { messageOf } from "./toy-hub.ts";

const runs = { numRuns: process.env["NOMQ_LONG"] ? 20_000 : 300 };
const text = fc.string({ maxLength: 20, unit: "grapheme" }).filter((one) => !one.includes("\0"));
const name = fc.oneof(text, fc.constantFrom("__proto__", "constructor", "priority", "7"));
const bytes = fc.uint8Array({ maxLength: 50 });

const draft: fc.Arbitrary<Draft> = fc.record(
  {
    channel: text.filter((one) => one.length > 0 && !/[+#]/.test(one)),
    payload: bytes,
    qos: fc.constantFrom(0 as const, 1 as const, 2 as const),
    retain: fc.boolean(),
    priority: fc.nat(15),
    contentType: fc.constantFrom("application/json", "text/plain;charset=utf-8", "image/png", "x"),
    ttlMs: fc.nat(10_000).map((seconds) => seconds * 1000),
    responseChannel: text.filter((one) => one.length > 0 && !/[+#]/.test(one)),
    correlation: bytes,
    properties: fc.array(
      fc.tuple(
        name,
        text.filter((one) => one !== ""),
      ),
      { minLength: 1, maxLength: 5 },
    ),
  },
  { requiredKeys: ["channel", "payload", "qos", "retain"] },
);

/** Properties by name, which is all that the packet library keeps of their order. */
const byName = (properties: Draft["properties"]): (readonly [string, readonly string[]])[] =>
  [...Map.groupBy(properties ?? [], ([key]) => key)]
    .map(([key, pairs]) => [key, pairs.map(([, value]) => value)] as const)
    .sort(([a], [b]) => (a < b ? -1 : 1));

test("what the hub sends as MQTT 5 comes back as it was, except for what the table says", () => {
  fc.assert(
    fc.property(draft, (sent) => {
      // A user property that reads like our priority is our priority.
      fc.pre(
        !(sent.properties ?? []).some(([key, value]) => key === "priority" && /^(\d|1[0-5])$/.test(value)),
      );
      const { ttlMs, ...rest } = sent;
      const packet = publishFromMessage(messageOf(rest), ttlMs);
      const wire = generate(packet.qos > 0 ? { ...packet, messageId: 1 } : packet, { protocolVersion: 5 });
      let got: Draft | undefined;
      const decoder = parser({ protocolVersion: 5 });
      decoder.on("packet", (one) => {
        if (one.cmd === "publish") got = draftFromPublish(one);
      });
      decoder.parse(wire);
      expect({ ...got, properties: byName(got?.properties) }).toEqual({
        ...sent,
        payload: Uint8Array.from(sent.payload),
        ...(sent.priority === 0 && { priority: undefined }),
        properties: byName(sent.properties),
      });
    }),
    runs,
  );
});

describe("from MQTT", () => {
  test("Payload Format Indicator alone is plain text; Content Type wins [MQTT-3.3.2.3.2]", () => {
    const contentTypeOf = (properties: object): string | undefined =>
      draftFromPublish(publishOf({ properties })).contentType;
    expect(contentTypeOf({ payloadFormatIndicator: true })).toBe("text/plain;charset=utf-8");
    expect(contentTypeOf({ payloadFormatIndicator: false })).toBeUndefined();
    expect(contentTypeOf({ payloadFormatIndicator: true, contentType: "a/b" })).toBe("a/b");
  });

  test("a priority that is none stays a user property", () => {
    const given = draftFromPublish(
      publishOf({ properties: { userProperties: { priority: ["16", "-1", "x"] } } }),
    );
    expect(given.priority).toBeUndefined();
    expect(given.properties).toEqual([
      ["priority", "16"],
      ["priority", "-1"],
      ["priority", "x"],
    ]);
  });

  test.each([
    ["content type twice", { contentType: ["a", "b"] }],
    ["expiry twice", { messageExpiryInterval: [1, 2] }],
    ["correlation data twice", { correlationData: [Buffer.from("a")] }],
    ["a subscription identifier [MQTT-3.3.4-6]", { subscriptionIdentifier: 3 }],
    ["an empty response topic", { responseTopic: "" }],
  ])("%s is a fault", (_name, properties) => {
    // What the parser really makes of such packets, which its types do not say.
    expect(publishFault(publishOf({ properties: properties as object }))).toBeDefined();
  });
});

describe("to MQTT", () => {
  test("text is marked as UTF-8 only when it is [MQTT-3.3.2-4]", () => {
    const indicatorOf = (contentType: string, payload: Buffer): unknown =>
      publishFromMessage(messageOf({ contentType, payload })).properties?.payloadFormatIndicator;
    expect(indicatorOf("application/json", Buffer.from("{}"))).toBe(true);
    expect(indicatorOf("application/vnd.x+json", Buffer.from("{}"))).toBe(true);
    expect(indicatorOf("text/csv", Buffer.from([0xff]))).toBeUndefined();
    expect(indicatorOf("image/png", Buffer.from("x"))).toBeUndefined();
  });

  test("what is left to live is rounded up and fits four bytes", () => {
    const intervalOf = (ms: number): unknown =>
      publishFromMessage(messageOf({}), ms).properties?.messageExpiryInterval;
    expect([0, 1, 1000, 1001, 1e15].map(intervalOf)).toEqual([0, 1, 1, 2, 0xffff_ffff]);
  });
});

test("a message from one client to the hub and to another carries everything", async () => {
  await using bench = await startBench();
  const reader = await bench.subscriber("#", 2);
  const writer = await bench.client();
  const properties = {
    payloadFormatIndicator: true,
    messageExpiryInterval: 60,
    contentType: "text/plain",
    responseTopic: "answers/1",
    correlationData: Buffer.from([0, 255]),
    userProperties: { priority: "9", unit: ["°C", "K"] },
  };
  writer.send(
    publishOf({ topic: "ä/€", payload: Buffer.from([0, 1, 255]), qos: 2, messageId: 1, properties }),
  );
  await writer.take("pubrec");
  expect(await reader.take("publish")).toMatchObject({
    topic: "ä/€",
    payload: Buffer.from([0, 1, 255]),
    properties,
  });
  expect(bench.hub.published[0]?.draft).toEqual({
    channel: "ä/€",
    payload: new Uint8Array([0, 1, 255]),
    qos: 2,
    retain: false,
    priority: 9,
    contentType: "text/plain",
    ttlMs: 60_000,
    responseChannel: "answers/1",
    correlation: new Uint8Array([0, 255]),
    properties: [
      ["unit", "°C"],
      ["unit", "K"],
    ],
  });
});

test("a topic alias is taken, and unknown to everyone else [MQTT-3.3.2-12]", async () => {
  await using bench = await startBench();
  const reader = await bench.subscriber("#", 1);
  const writer = await bench.client();
  writer.send(publishOf({ topic: "long/name", properties: { topicAlias: 1 } }));
  writer.send(publishOf({ topic: "", properties: { topicAlias: 1 } }));
  for (let count = 0; count < 2; count += 1) {
    const packet = await reader.take("publish");
    expect(packet.topic).toBe("long/name");
    expect(packet.properties?.topicAlias).toBeUndefined();
  }
  expect(bench.hub.published.map(({ draft: { channel } }) => channel)).toEqual(["long/name", "long/name"]);
  writer.send(publishOf({ topic: "", properties: { topicAlias: 7 } }));
  expect(await writer.take("disconnect")).toMatchObject({ reasonCode: 0x94 });
});
