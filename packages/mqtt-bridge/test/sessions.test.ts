import { describe, expect, test } from "vitest";
import type { Bench } from "./bench.ts";
import { startBench } from "./bench.ts";
import { SESSION } from "./lasting.ts";
import type { RawClient } from "./raw-client.ts";
import { publishOf } from "./raw-client.ts";

const versions = [
  ["3.1.1", { clientId: "s", clean: false, protocolVersion: 4 }],
  ["5", SESSION],
] as const;

/** Subscribes and goes away, so that the session is all that is left. */
async function leaveSession(bench: Bench, options: object = SESSION, qos: 1 | 2 = 2): Promise<void> {
  const client = await bench.subscriber("#", qos, options);
  await client.end();
  await bench.gone();
}

function acknowledgeAll(client: RawClient): void {
  for (const packet of client.got) {
    if (packet.cmd === "publish" && packet.qos === 1)
      client.send({ cmd: "puback", messageId: packet.messageId ?? 0 });
  }
}

describe.each(versions)("MQTT %s: a session without its connection", (_name, options) => {
  test("keeps QoS 1 and 2 in order, not QoS 0, and says that it is there [MQTT-3.2.2-3]", async () => {
    await using bench = await startBench();
    await leaveSession(bench, options);
    for (const qos of [1, 0, 2] as const) await bench.hub.deliver({ channel: `q${qos}`, qos });
    const client = await bench.client(options);
    expect(client.got[0]).toMatchObject({ sessionPresent: true });
    await client.take("publish");
    await client.take("publish");
    await client.settled();
    expect(client.messages()).toEqual(["q1 payload", "q2 payload"]);
  });

  test("sends again with DUP what was not acknowledged, and goes on with PUBREL [MQTT-4.4.0-1] [MQTT-3.3.1-1]", async () => {
    await using bench = await startBench();
    await leaveSession(bench, options);
    for (const qos of [1, 2] as const) await bench.hub.deliver({ channel: `q${qos}`, qos });
    const first = await bench.client(options);
    const [one, two] = [await first.take("publish"), await first.take("publish")];
    expect([one.dup, two.dup]).toEqual([false, false]);
    first.send({ cmd: "pubrec", messageId: two.messageId ?? 0 });
    await first.take("pubrel");
    await first.end();
    await bench.gone();
    const second = await bench.client(options);
    expect(await second.take("publish")).toMatchObject({ topic: "q1", dup: true, messageId: one.messageId });
    expect(await second.take("pubrel")).toMatchObject({ messageId: two.messageId });
    second.send(
      { cmd: "puback", messageId: one.messageId ?? 0 },
      { cmd: "pubcomp", messageId: two.messageId ?? 0 },
    );
    await second.settled();
    await second.end();
    await bench.gone();
    const third = await bench.client(options);
    await third.settled();
    expect(third.got.filter(({ cmd }) => cmd === "publish" || cmd === "pubrel")).toEqual([]);
  });

  test("without subscriptions is present all the same", async () => {
    await using bench = await startBench();
    const first = await bench.client(options);
    expect(first.got[0]).toMatchObject({ sessionPresent: false });
    await first.end();
    await bench.gone();
    const second = await bench.client(options);
    expect(second.got[0]).toMatchObject({ sessionPresent: true });
    await second.end();
    await bench.gone();
    const clean = await bench.client({ ...options, clean: true });
    expect(clean.got[0]).toMatchObject({ sessionPresent: false });
  });

  test("a clean start forgets subscriptions and messages [MQTT-3.1.2-4]", async () => {
    await using bench = await startBench();
    await leaveSession(bench, options);
    await bench.hub.deliver({ qos: 1 });
    const clean = await bench.client({ ...options, clean: true });
    await clean.settled();
    expect(clean.messages()).toEqual([]);
    while (bench.hub.filters.size > 0) await new Promise((resolve) => setImmediate(resolve));
  });

  test("3,000 stored messages and 500 that come meanwhile arrive in order", async () => {
    await using bench = await startBench();
    await leaveSession(bench, options, 1);
    for (let at = 0; at < 3000; at += 1)
      await bench.hub.deliver({ payload: Buffer.from(String(at)), qos: 1 });
    const client = await bench.client({ ...options, bare: true });
    let next = 3000;
    for (let count = 0; count < 3500; count += 1) {
      const packet = await client.take("publish");
      expect(packet.payload.toString()).toBe(String(count));
      if (count % 5 === 0 && next < 3500) {
        await bench.hub.deliver({ payload: Buffer.from(String(next)), qos: 1 });
        next += 1;
      }
      client.send({ cmd: "puback", messageId: packet.messageId ?? 0 });
    }
  });

  test("connections that end while stored messages go out cost none of them [MQTT-4.4.0-1]", async () => {
    await using bench = await startBench();
    await leaveSession(bench, options, 1);
    const all = Array.from({ length: 100 }, (_, at) => String(at));
    for (const payload of all) await bench.hub.deliver({ payload: Buffer.from(payload), qos: 1 });
    const seen = new Set<string>();
    for (let round = 0; round < 30; round += 1) {
      const cut = await bench.client({ ...options, bare: true });
      for (let taken = 0; taken <= round % 5; taken += 1) {
        const { messageId = 0, payload } = await cut.take("publish");
        seen.add(payload.toString());
        cut.send({ cmd: "puback", messageId });
      }
      await cut.end();
    }
    const last = await bench.client({ ...options, bare: true });
    while (seen.size < all.length) {
      const { messageId = 0, payload } = await last.take("publish");
      seen.add(payload.toString());
      last.send({ cmd: "puback", messageId });
    }
    expect([...seen].toSorted((one, other) => Number(one) - Number(other))).toEqual(all);
  });

  test("a QoS 2 publish repeated on a new connection reaches the hub once [MQTT-4.3.3-10]", async () => {
    await using bench = await startBench();
    const first = await bench.client(options);
    bench.hub.holding = true;
    first.send(publishOf({ qos: 2, messageId: 3 }));
    await first.settled();
    await first.end();
    await bench.gone();
    const second = await bench.client(options);
    second.send(publishOf({ qos: 2, messageId: 3, dup: true }));
    await second.settled();
    expect(second.got.some(({ cmd }) => cmd === "pubrec")).toBe(false);
    bench.hub.published[0]?.answer({});
    await second.take("pubrec");
    second.send({ cmd: "pubrel", messageId: 3 });
    await second.take("pubcomp");
    expect(bench.hub.published).toHaveLength(1);
    expect(bench.hub.released).toHaveLength(1);
    second.send(publishOf({ qos: 2, messageId: 3 }));
    await second.settled();
    expect(bench.hub.published).toHaveLength(2);
    expect(bench.hub.published[1]?.options.once).toBe(bench.hub.published[0]?.options.once);
  });
});

test.each([true, false])(
  "a retained message to a stored session comes once more if it was not acknowledged: %s",
  async (isAcknowledged) => {
    await using bench = await startBench();
    const first = await bench.client(SESSION);
    first.send({ cmd: "subscribe", messageId: 1, subscriptions: [{ topic: "#", qos: 1, rap: true, rh: 2 }] });
    await first.take("suback");
    await bench.hub.deliver({ channel: "r", qos: 1, retain: true });
    await first.take("publish");
    if (isAcknowledged) acknowledgeAll(first);
    await first.settled();
    await first.end();
    await bench.gone();
    const second = await bench.client(SESSION);
    await second.settled();
    expect(second.messages()).toEqual(isAcknowledged ? [] : ["r payload"]);
  },
);

test("resuming with expiry 0 still sends what is stored, and ends the session afterwards [MQTT-3.1.2-23]", async () => {
  await using bench = await startBench();
  await leaveSession(bench);
  await bench.hub.deliver({ qos: 1 });
  const last = await bench.client({ clientId: "s", clean: false });
  expect(last.got[0]).toMatchObject({ sessionPresent: true });
  await last.take("publish");
  await last.end();
  await bench.gone();
  const next = await bench.client({ clientId: "s", clean: false });
  expect(next.got[0]).toMatchObject({ sessionPresent: false });
});

test("TTL 0 is for sessions that are here now", async () => {
  await using bench = await startBench();
  await leaveSession(bench);
  const here = await bench.subscriber("#", 1);
  await bench.hub.deliver({ channel: "now", qos: 1 }, 0);
  expect(await here.take("publish")).toMatchObject({ properties: { messageExpiryInterval: 0 } });
  const client = await bench.client(SESSION);
  await client.settled();
  expect(client.messages()).toEqual([]);
});

test("the broker takes over a session that is still connected, and nothing is lost [MQTT-3.1.4-3]", async () => {
  await using bench = await startBench();
  const first = await bench.subscriber("#", 1, SESSION);
  await bench.hub.deliver({ channel: "one", qos: 1 });
  await first.take("publish");
  const second = await bench.client(SESSION);
  expect(await first.take("disconnect")).toMatchObject({ reasonCode: 0x8e });
  expect(await second.take("publish")).toMatchObject({ topic: "one", dup: true });
  await bench.hub.deliver({ channel: "two", qos: 1 });
  await second.take("publish");
  expect(second.messages()).toEqual(["one payload", "two payload"]);
});

test("acknowledged QoS 1 of many publishers at QoS 0 and 1 arrives in full", async () => {
  await using bench = await startBench();
  const reader = await bench.subscriber("#", 1, SESSION);
  const deliveries: Promise<unknown>[] = [];
  for (let at = 0; at < 2000; at += 1) {
    deliveries.push(
      bench.hub.deliver({
        channel: `c${at % 7}`,
        qos: at % 2 === 0 ? 1 : 0,
        payload: Buffer.from(String(at)),
      }),
    );
  }
  await Promise.all(deliveries);
  for (let count = 0; count < 2000; count += 1) {
    const { messageId } = await reader.take("publish");
    if (messageId !== undefined) reader.send({ cmd: "puback", messageId });
  }
  expect(new Set(reader.messages()).size).toBe(2000);
});
