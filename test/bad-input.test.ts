import { randomBytes } from "node:crypto";
import { describe, expect, test } from "vitest";
import { describeWithPeers } from "./peers.ts";
import { openCoapEndpoint } from "./real/coap-endpoint.ts";
import { decodeCoap, encodeCoap, GET, PUT, uriOptions } from "./real/coap-wire.ts";
import { type Gateway, launchGateway, type Rejected } from "./real/gateway.ts";
import { publish, type Subscriber, subscribe } from "./real/mosquitto.ts";
import { channelId, EPOCH_2000, type Outgoing, randomId, seal, unixSeconds } from "./real/seal.ts";
import { openDevice, type UdpDevice } from "./real/udp-device.ts";
import { vectorKey } from "./real/vectors.ts";

const good = (message: string): Outgoing => ({
  channel: "a/b",
  message,
  sessionId: randomId(),
  timestamp: unixSeconds(),
});

const isWhole = (datagram: Buffer): boolean => {
  try {
    decodeCoap(datagram);
    return true;
  } catch {
    return false;
  }
};

interface Bench extends AsyncDisposable {
  readonly gateway: Gateway;
  readonly device: UdpDevice;
  readonly subscriber: Subscriber;
}

async function setUp(): Promise<Bench> {
  await using stack = new AsyncDisposableStack();
  const gateway = stack.use(await launchGateway({ nomq: { channels: ["a/b"] } }));
  const device = stack.use(await openDevice(vectorKey, gateway.nomqPort));
  const subscriber = stack.use(await subscribe(gateway.mqtt, "#", ["-q", "2"]));
  const kept = stack.move();
  return { gateway, device, subscriber, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

/** Resolves when the gateway has counted this many under the reason; fails if a good message was lost over it. */
async function counted(gateway: Gateway, reason: keyof Rejected, count: number): Promise<void> {
  const health = await gateway.nomqHealth(({ rejected }) => rejected[reason] >= count);
  expect(health.rejected[reason]).toBe(count);
}

/** After bad input a good packet still arrives, and it alone. */
async function onlyGoodArrives({ device, subscriber }: Bench): Promise<void> {
  await device.send(good("good"));
  await subscriber.atLeast(1);
  expect(subscriber.printed.map(({ text }) => text)).toEqual(["good"]);
}

describeWithPeers("bad datagrams into the real binary", ["mosquitto-clients"], () => {
  test("a key we do not have", async () => {
    await using bench = await setUp();
    const stranger = { encryption: vectorKey.encryption, mac: randomBytes(32) };
    await bench.device.sendRaw(seal(stranger, good("forged")));
    await counted(bench.gateway, "bad-mac", 1);
    await onlyGoodArrives(bench);
  });

  test("a replay, from the same and from another port", async () => {
    await using bench = await setUp();
    const datagram = seal(vectorKey, good("good"));
    await bench.device.sendRaw(datagram);
    await bench.subscriber.atLeast(1);
    await bench.device.sendRaw(datagram);
    await counted(bench.gateway, "replay", 1);
    await using elsewhere = await openDevice(vectorKey, bench.gateway.nomqPort);
    await elsewhere.sendRaw(datagram);
    await counted(bench.gateway, "replay", 2);
    await publish(bench.gateway.mqtt, "end", "end");
    await bench.subscriber.atLeast(2);
    expect(bench.subscriber.printed.map(({ text }) => text)).toEqual(["good", "end"]);
  });

  test.each([
    ["40 s behind its session is stale", 40, "stale"],
    ["61 s behind its session is a replay", 61, "replay"],
  ] as const)("a timestamp %s", async (_what, behind, reason) => {
    await using bench = await setUp();
    const newest = good("good");
    await bench.device.send(newest);
    await bench.subscriber.atLeast(1);
    // Behind what the session has said, however long that took.
    await bench.device.send({ ...newest, message: "old", timestamp: newest.timestamp - behind });
    await counted(bench.gateway, reason, 1);
    expect(bench.subscriber.printed.map(({ text }) => text)).toEqual(["good"]);
  });

  test.each([
    ["counts from 0", (): number => 7],
    ["is a week behind", (): number => unixSeconds() - 7 * 86_400],
    ["is 31 s ahead", (): number => unixSeconds() + 31 + 60],
    ["is 100 s behind in epoch 2000", (): number => unixSeconds() - EPOCH_2000 - 100],
  ])("a first clock that %s", async (_what, clock) => {
    await using bench = await setUp();
    await bench.device.send({ ...good("odd"), timestamp: clock() });
    await counted(bench.gateway, "clock-unknown", 1);
    await onlyGoodArrives(bench);
  });

  test("datagrams cut at every length and one with a byte too many", async () => {
    await using bench = await setUp();
    const datagram = seal(vectorKey, good("cut"));
    for (let length = 0; length < datagram.length; length += 1) {
      await bench.device.sendRaw(datagram.subarray(0, length));
    }
    await bench.device.sendRaw(Buffer.concat([datagram, Buffer.of(0)]));
    await bench.gateway.nomqHealth(({ rejected }) => {
      const { malformed, "bad-mac": badMac } = rejected;
      return malformed + badMac === datagram.length + 1;
    });
    await onlyGoodArrives(bench);
  });

  test("the largest datagram that UDP carries, of noise and of our own key", async () => {
    await using bench = await setUp();
    await bench.device.sendRaw(randomBytes(65_507));
    await bench.device.sendRaw(Buffer.concat([Buffer.from("NM\x01\x01"), randomBytes(65_000)]));
    await bench.gateway.nomqHealth(({ rejected }) => {
      const { malformed, "bad-mac": badMac } = rejected;
      return malformed + badMac === 2;
    });
    await bench.device.send(good("z".repeat(65_000)));
    await bench.subscriber.atLeast(1);
    expect(bench.subscriber.printed[0]?.text).toHaveLength(65_000);
  });

  test("an unknown channel is told by hash, source and count, in the log and in /healthz", async () => {
    await using bench = await setUp();
    const hash = channelId("not/configured").toString("hex");
    for (let count = 1; count <= 3; count += 1) {
      await bench.device.send({ ...good("?"), channel: "not/configured" });
    }
    const health = await bench.gateway.nomqHealth(({ rejected }) => rejected["unknown-channel"] === 3);
    const source = `127.0.0.1:${bench.device.port}`;
    expect(health.unknownChannels).toMatchObject([{ hash, source, sources: [source], count: 3 }]);
    // What it logs comes by another way than its answer.
    await expect.poll(() => bench.gateway.output()).toContain(hash);
    expect(bench.gateway.output()).toContain(source);
    await onlyGoodArrives(bench);
  });
});

describe("where peers are missing too", () => {
  test("bad datagrams to the CoAP port are counted, answered to nobody else, and hinder no good one", async () => {
    await using gateway = await launchGateway();
    await using endpoint = await openCoapEndpoint(gateway.coapPort);
    const good = encodeCoap({
      ...{ type: "CON", code: PUT, messageId: 7, token: Buffer.of(1) },
      ...{ options: uriOptions("a/b"), payload: Buffer.from("good") },
    });
    const version2 = Buffer.concat([Buffer.of(good.readUInt8(0) ^ 0xc0), good.subarray(1)]);
    const bad: Buffer[] = [version2, Buffer.alloc(1_200, 0xff)];
    for (let length = 0; length < good.length; length += 1) {
      // Cut off in its payload or before its marker it would be a message of its own.
      if (good.indexOf(0xff) < length || isWhole(good.subarray(0, length))) continue;
      bad.push(good.subarray(0, length));
    }
    for (const datagram of bad) endpoint.sendRaw(datagram);
    expect(await endpoint.ask({ code: PUT, uri: "a/b", payload: "good" })).toMatchObject({ code: "2.01" });
    expect(await endpoint.ask({ code: GET, uri: "a/b" })).toMatchObject({ payload: Buffer.from("good") });
    expect(bad.length).toBeGreaterThan(8);
    // The documented shape of /healthz.
    const { coap } = (await gateway.ask("/healthz")) as { coap: { messaging: { malformed: number } } };
    expect(coap.messaging.malformed).toBe(bad.length);
  });

  test("the gateway lives on after bad datagrams", async () => {
    await using gateway = await launchGateway();
    await using device = await openDevice(vectorKey, gateway.nomqPort);
    await device.sendRaw(randomBytes(200));
    await counted(gateway, "malformed", 1);
  });
});
