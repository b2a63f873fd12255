import type { Packet } from "mqtt-packet";
import { describe, expect, test } from "vitest";
import { startBench } from "./bench.ts";
import { kinds, SESSION, subscribed, written } from "./lasting.ts";
import { publishOf, type RawClient } from "./raw-client.ts";

const publishes = ({ got }: RawClient): Packet[] => got.filter(({ cmd }) => cmd === "publish");

describe("after a kill", () => {
  test("subscriptions are there with their options, and in force before a listener opens", async () => {
    await using first = await startBench();
    const options = { qos: 1 as const, nl: true, rap: true, rh: 1 as const };
    const client = await first.client(SESSION);
    client.send({
      ...{ cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "kept/#", ...options }] },
      properties: { subscriptionIdentifier: 77 },
    });
    await client.take("suback");
    await first.subscriber("passing/#", 1);
    await using second = await first.killed();
    expect([...second.hub.filters]).toEqual(["kept/#"]);
    await second.hub.deliver({ channel: "kept/r", qos: 1, retain: true });
    const again = await second.client(SESSION);
    expect(again.got[0]).toMatchObject({ sessionPresent: true });
    const identified = { properties: { subscriptionIdentifier: 77 } };
    expect(await again.take("publish")).toMatchObject({
      topic: "kept/r",
      qos: 1,
      retain: true,
      ...identified,
    });
    // No Local, live and offline.
    again.send(publishOf({ topic: "kept/own", qos: 1, messageId: 1 }));
    await again.take("puback");
    await second.hub.deliver({ channel: "kept/live", qos: 2, retain: true });
    expect(await again.take("publish")).toMatchObject({
      topic: "kept/live",
      qos: 1,
      retain: true,
      ...identified,
    });
    expect(publishes(again)).toHaveLength(2);
  });

  test("the queue is there, in order, with DUP on what was sent; live messages come after it", async () => {
    await using first = await startBench();
    const client = await subscribed(first);
    const sent: number[] = [];
    for (const channel of ["a", "b"]) {
      await first.hub.deliver({ channel, qos: 2 });
      sent.push((await client.take("publish")).messageId ?? 0);
    }
    await client.end();
    await first.gone();
    for (const channel of ["c", "d"]) await first.hub.deliver({ channel, qos: channel === "c" ? 1 : 2 });
    await written(first);
    await using second = await first.killed();
    await second.hub.deliver({ channel: "e", qos: 1 });
    const again = await second.client(SESSION);
    await second.hub.deliver({ channel: "f", qos: 1 });
    const got = [];
    for (let count = 0; count < 6; count += 1) got.push(await again.take("publish"));
    expect(got.map(({ topic, dup }) => `${topic} ${dup}`)).toEqual([
      "a true",
      "b true",
      "c false",
      "d false",
      "e false",
      "f false",
    ]);
    expect(got.slice(0, 2).map(({ messageId }) => messageId)).toEqual(sent);
    expect(new Set(got.map(({ messageId }) => messageId)).size).toBe(6);
  });

  test("QoS 2 halfway out goes on with PUBREL and nothing else [MQTT-4.4.0-1]", async () => {
    await using first = await startBench();
    const client = await subscribed(first);
    await first.hub.deliver({ channel: "a", qos: 2 });
    const { messageId = 0 } = await client.take("publish");
    client.send({ cmd: "pubrec", messageId });
    await client.take("pubrel");
    await using second = await first.killed();
    const again = await second.client(SESSION);
    expect(await again.take("pubrel")).toMatchObject({ messageId });
    again.send({ cmd: "pubcomp", messageId });
    await again.settled();
    expect(publishes(again)).toEqual([]);
    await using third = await second.killed();
    const last = await third.client(SESSION);
    await last.settled();
    expect(kinds(last).filter((cmd) => cmd === "publish" || cmd === "pubrel")).toEqual([]);
  });

  test("QoS 2 halfway in is acknowledged again and routed nowhere; after PUBCOMP the id is free", async () => {
    await using first = await startBench();
    const writer = await first.client({ ...SESSION, clientId: "w" });
    writer.send(publishOf({ qos: 2, messageId: 3 }));
    await writer.take("pubrec");
    await using second = await first.killed();
    const again = await second.client({ ...SESSION, clientId: "w" });
    again.send(publishOf({ qos: 2, messageId: 3, dup: true }));
    await again.take("pubrec");
    expect(second.hub.published).toEqual([]);
    again.send({ cmd: "pubrel", messageId: 3 });
    await again.take("pubcomp");
    expect(second.hub.released).toEqual([first.hub.published[0]?.options.once]);
    await using third = await second.killed();
    const last = await third.client({ ...SESSION, clientId: "w" });
    last.send(publishOf({ qos: 2, messageId: 3, payload: "new" }));
    await last.take("pubrec");
    expect(third.hub.published).toHaveLength(1);
    expect(third.hub.published[0]?.options.once).toBe(first.hub.published[0]?.options.once);
  });

  test("a transfer that siblings may not have is handed to the hub again under the same name", async () => {
    await using first = await startBench();
    await (await subscribed(first)).end();
    const writer = await first.client({ ...SESSION, clientId: "w" });
    first.hub.holdingState = true;
    writer.send(publishOf({ qos: 2, messageId: 3 }));
    await writer.settled();
    await using second = await first.killed();
    const again = await second.client({ ...SESSION, clientId: "w" });
    again.send(publishOf({ qos: 2, messageId: 3, dup: true }));
    await again.take("pubrec");
    expect(second.hub.published[0]?.options.once).toBe(first.hub.published[0]?.options.once);
    const reader = await second.client(SESSION);
    await reader.take("publish");
    await reader.settled();
    expect(publishes(reader)).toHaveLength(1);
  });

  test("what the hub gives again and the session has is there once", async () => {
    await using first = await startBench();
    await (await subscribed(first)).end();
    await first.gone();
    await first.hub.deliver({ id: "m1", channel: "a", qos: 2 });
    await using second = await first.killed();
    await second.hub.deliver({ id: "m1", channel: "a", qos: 2 });
    await second.hub.deliver({ id: "m2", channel: "b", qos: 2 });
    const reader = await second.client(SESSION);
    await reader.take("publish");
    await reader.take("publish");
    await reader.settled();
    expect(reader.messages()).toEqual(["a payload", "b payload"]);
  });

  test("a clean start has wiped for good: filters, queue and transfers", async () => {
    await using first = await startBench();
    await (await subscribed(first)).end();
    await first.hub.deliver({ channel: "a", qos: 1 });
    await (await first.client({ ...SESSION, clean: true })).end();
    await using second = await first.killed();
    expect([...second.hub.filters]).toEqual([]);
    const again = await second.client(SESSION);
    await again.settled();
    expect(again.messages()).toEqual([]);
  });

  test("messages and sessions that expire meanwhile are gone; both are counted", async () => {
    await using first = await startBench();
    await (
      await subscribed(
        first,
        {},
        { ...SESSION, clientId: "brief", properties: { sessionExpiryInterval: 60 } },
      )
    ).end();
    await (await subscribed(first)).end();
    await first.gone();
    await first.hub.deliver({ channel: "short", qos: 1 }, 30_000);
    await first.hub.deliver({ channel: "long", qos: 1 }, 300_000);
    await written(first);
    await first.hub.clock.advance(100_000);
    await using second = await first.killed();
    const brief = await second.client({ ...SESSION, clientId: "brief" });
    expect(brief.got[0]).toMatchObject({ sessionPresent: false });
    const again = await second.client(SESSION);
    const left = { properties: { messageExpiryInterval: 200 } };
    expect(await again.take("publish")).toMatchObject({ topic: "long", ...left });
    await again.settled();
    expect(again.messages()).toEqual(["long payload"]);
    const { sessions } = second.bridge.counts();
    expect(sessions).toMatchObject({
      accepted: 4,
      expired: 1,
      dropped: { "session-expired": 2 },
      pending: 1,
    });
  });

  describe("ack: delivered at QoS 2, and the publisher sends it again [MQTT-4.3.3-2]", () => {
    const listen = [{ url: "mqtt://127.0.0.1:0", ack: "delivered" as const, ackTimeout: 3000 }];
    const outcome = { attachment: "x", at: 0 };

    /** Killed while an outcome was open; then it came again. */
    async function halfway(protocolVersion: 4 | 5 = 5) {
      const connect = { ...SESSION, clientId: "w", protocolVersion };
      const first = await startBench({ listen });
      const writer = await first.client(connect);
      first.hub.holding = true;
      writer.send(publishOf({ qos: 2, messageId: 3 }));
      await writer.settled();
      first.hub.published[0]?.answer({ outcomes: [{ ...outcome, is: "pending" }] });
      await written(first);
      expect(kinds(writer)).not.toContain("pubrec");
      const second = await first.killed();
      const finish = second.hub.earlier("r0");
      const again = await second.client(connect);
      again.send(publishOf({ qos: 2, messageId: 3, dup: true }));
      await again.settled();
      expect(kinds(again)).not.toContain("pubrec");
      expect(second.hub.published).toEqual([]);
      const end = (is: "delivered" | "dropped"): void =>
        finish({ id: "r0", channel: "a", at: "stored", outcomes: [{ ...outcome, is }] });
      const close = async (): Promise<void> => {
        await second[Symbol.asyncDispose]();
        first.hub.published[0]?.finish({});
        await first[Symbol.asyncDispose]();
      };
      return { second, again, end, [Symbol.asyncDispose]: close };
    }

    test.each([4, 5] as const)("PUBREC waits for the outcome still (version %i)", async (version) => {
      await using run = await halfway(version);
      run.end("delivered");
      expect((await run.again.take("pubrec")).reasonCode ?? 0).toBe(0);
    });

    test("0x97 when it is final and not delivered", async () => {
      await using run = await halfway();
      run.end("dropped");
      expect(await run.again.take("pubrec")).toMatchObject({ reasonCode: 0x97 });
    });

    test("0x97 when the time is over", async () => {
      await using run = await halfway();
      await run.second.hub.clock.advance(3000);
      expect(await run.again.take("pubrec")).toMatchObject({ reasonCode: 0x97 });
      run.end("delivered");
    });
  });

  test("what is pending, delivered and dropped balances over the kill", async () => {
    await using first = await startBench();
    const client = await subscribed(first, { qos: 1 });
    for (let at = 0; at < 5; at += 1) await first.hub.deliver({ qos: 1 });
    for (let at = 0; at < 2; at += 1)
      client.send({ cmd: "puback", messageId: (await client.take("publish")).messageId ?? 0 });
    await client.settled();
    await written(first);
    await using second = await first.killed();
    expect(second.bridge.counts().sessions).toMatchObject({ accepted: 5, delivered: 2, pending: 3 });
  });

  test("a damaged record is left out, and the others are used", async () => {
    await using first = await startBench();
    await (await subscribed(first)).end();
    await first.gone();
    for (const channel of ["a", "b"]) await first.hub.deliver({ channel, qos: 1 });
    const [, entry] = [...first.hub.state.values()].filter(([key]) => key[0] === 0x52);
    if (entry === undefined) throw new Error("no entry was stored");
    entry[1][6] = (entry[1][6] ?? 0) ^ 1;
    await using second = await first.killed();
    const again = await second.client(SESSION);
    await again.take("publish");
    await again.settled();
    expect(again.messages()).toEqual(["a payload"]);
    expect(second.hub.warnings[0]).toMatchObject([expect.stringContaining("damaged"), { damaged: 1 }]);
  });
});
