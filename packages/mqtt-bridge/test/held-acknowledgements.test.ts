import { describe, expect, test } from "vitest";
import { startBench } from "./bench.ts";
import { kinds, SESSION, subscribed } from "./lasting.ts";
import { publishOf } from "./raw-client.ts";

describe("nothing is acknowledged before the session is stored", () => {
  test("CONNACK, SUBACK and UNSUBACK of a session that lasts; a clean one waits for nothing", async () => {
    await using bench = await startBench();
    bench.hub.holdingState = true;
    const passing = await bench.subscriber("#", 1);
    const lasting = await bench.client({ ...SESSION, bare: true });
    await passing.settled();
    expect(lasting.got).toEqual([]);
    for (const { land } of bench.hub.remembering.splice(0)) land();
    await lasting.take("connack");
    lasting.send({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "a", qos: 1 }] });
    await lasting.settled();
    expect(kinds(lasting)).not.toContain("suback");
    for (const { land } of bench.hub.remembering.splice(0)) land();
    await lasting.take("suback");
    lasting.send({ cmd: "unsubscribe", messageId: 2, unsubscriptions: ["a"] });
    await lasting.settled();
    expect(kinds(lasting)).not.toContain("unsuback");
    for (const { land } of bench.hub.remembering.splice(0)) land();
    await lasting.take("unsuback");
  });

  test.each([
    [1, "puback"],
    [2, "pubrec"],
  ] as const)("QoS %i to a sibling session: %s, and PUBCOMP", async (qos, acknowledgement) => {
    await using bench = await startBench();
    await (await subscribed(bench)).end();
    const writer = await bench.client({ ...SESSION, clientId: "w" });
    bench.hub.holdingState = true;
    writer.send(publishOf({ qos, messageId: 5 }), publishOf({ topic: "quick" }));
    await writer.settled();
    expect(kinds(writer)).not.toContain(acknowledgement);
    for (const { land } of bench.hub.remembering.splice(0)) land();
    await writer.take(acknowledgement);
    if (qos === 1) return;
    writer.send({ cmd: "pubrel", messageId: 5 });
    await writer.settled();
    expect(kinds(writer)).not.toContain("pubcomp");
    for (const { land } of bench.hub.remembering.splice(0)) land();
    await writer.take("pubcomp");
  });

  test("QoS 2 leaves under a stored packet id only, and so does its PUBREL; QoS 0 flows", async () => {
    await using bench = await startBench();
    const reader = await subscribed(bench);
    bench.hub.holdingState = true;
    await bench.hub.deliver({ channel: "two", qos: 2 });
    await bench.hub.deliver({ channel: "one", qos: 1 });
    await bench.hub.deliver({ channel: "none", qos: 0 });
    await reader.settled();
    expect(reader.messages()).toEqual(["none payload"]);
    for (const { land } of bench.hub.remembering.splice(0)) land();
    await reader.take("publish");
    const { messageId = 0 } = await reader.take("publish");
    await reader.take("publish");
    expect(reader.messages()).toEqual(["none payload", "two payload", "one payload"]);
    reader.send({ cmd: "pubrec", messageId });
    await reader.settled();
    expect(kinds(reader)).not.toContain("pubrel");
    for (const { land } of bench.hub.remembering.splice(0)) land();
    await reader.take("pubrel");
  });
});
