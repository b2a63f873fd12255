import { expect, test } from "vitest";
import { describeWithPeers } from "./peers.ts";
import { launchGateway, type Rejected } from "./real/gateway.ts";
import { type Printed, publish, subscribe } from "./real/mosquitto.ts";
import { ACK, channelId, PUBCOMP, PUBREC, PUBREL, randomId, unixSeconds } from "./real/seal.ts";
import { openDevice, type UdpDevice } from "./real/udp-device.ts";
import { clockOf, createResender, type PublishInput, publishInputs, vectorKey } from "./real/vectors.ts";

const channels = [...new Set(publishInputs.map(({ channel }) => channel))].filter((name) => name !== "");
const accepted = publishInputs.filter((input) => input.channel !== "" && clockOf(input) !== "unset");

const wireQos = (input: PublishInput): number => input.flags & 3;
/** 3 on the wire counts as 0. */
const qosOf = (input: PublishInput): number => wireQos(input) % 3;
const priorityOf = (input: PublishInput): number => input.flags >> 4;

function asPrinted(input: PublishInput): Omit<Printed, "expiry" | "properties"> {
  return { topic: input.channel, text: input.message, qos: qosOf(input), retain: false };
}

/** Answers as the device would, and resolves when the gateway has ended the transfer. */
async function finish(
  device: UdpDevice,
  input: PublishInput,
  packetId: number,
  sessionId: number,
): Promise<void> {
  const is = (type: number) => (packet: { type: number; packetId: number }) =>
    packet.type === type && packet.packetId === packetId;
  if (qosOf(input) === 1) await device.next(is(ACK));
  if (qosOf(input) !== 2) return;
  const pubrec = await device.next(is(PUBREC));
  expect(pubrec.channelId).toBe(channelId(input.channel).toString("hex"));
  await device.send({
    type: PUBREL,
    packetId,
    sessionId,
    timestamp: unixSeconds(),
    channel: input.channel,
  });
  await device.next(is(PUBCOMP));
}

describeWithPeers("NoMQ device to mosquitto_sub, over real UDP", ["mosquitto-clients"], () => {
  test("prints exactly the messages of the original's PUBLISH packets, sealed now", async () => {
    await using gateway = await launchGateway({ nomq: { channels } });
    await using subscriber = await subscribe(gateway.mqtt, "#", ["-q", "2"]);
    await using device = await openDevice(vectorKey, gateway.nomqPort);
    const packetOf = createResender();
    for (const [sent, input] of accepted.entries()) {
      const packet = { ...packetOf(input), packetId: randomId() };
      await device.send(packet);
      await subscriber.atLeast(sent + 1);
      await finish(device, input, packet.packetId, packet.sessionId);
    }
    expect(subscriber.printed.map(({ topic, text, qos, retain }) => ({ topic, text, qos, retain }))).toEqual(
      accepted.map(asPrinted),
    );
    expect(accepted).toHaveLength(20);
    expectTimeToLive(subscriber.printed);
    expectPriorities(subscriber.printed);
  });

  test("keeps the retained ones for those who come later", async () => {
    await using gateway = await launchGateway({ nomq: { channels } });
    await using device = await openDevice(vectorKey, gateway.nomqPort);
    const retained = publishInputs.find(({ name }) => name === "publish-qos1-retain");
    if (retained === undefined) throw new Error("the vectors have changed");
    const packet = { ...createResender()(retained), packetId: randomId() };
    await device.send(packet);
    await finish(device, retained, packet.packetId, packet.sessionId);
    await using late = await subscribe(gateway.mqtt, "a/b", ["-q", "1"]);
    await late.atLeast(1);
    expect(late.printed[0]).toMatchObject({ topic: "a/b", text: "hello", qos: 1, retain: true });
  });

  test("refuses an empty channel and a clock that counts from 0, and counts both", async () => {
    await using gateway = await launchGateway({ nomq: { channels } });
    await using subscriber = await subscribe(gateway.mqtt, "#", ["-q", "2"]);
    await using device = await openDevice(vectorKey, gateway.nomqPort);
    const packetOf = createResender();
    for (const input of publishInputs.filter((one) => !accepted.includes(one)))
      await device.send(packetOf(input));
    const health = await gateway.nomqHealth(
      ({ rejected, refused }) => rejected["clock-unknown"] > 0 && countOf(rejected, refused) > 0,
    );
    expect(health.rejected["clock-unknown"]).toBe(1);
    expect(countOf(health.rejected, health.refused)).toBe(1);
    await publish(gateway.mqtt, "end", "end");
    await subscriber.atLeast(1);
    expect(subscriber.printed.map(({ topic }) => topic)).toEqual(["end"]);
  });

  test("takes a clock that counts from 0 from a device configured `clock: any`", async () => {
    await using reserved = await openDevice(vectorKey, 9);
    await using gateway = await launchGateway({
      nomq: {
        channels,
        devices: [{ name: "board", address: `127.0.0.1:${reserved.port}`, key: "site", clock: "any" }],
      },
    });
    await using subscriber = await subscribe(gateway.mqtt, "#", ["-q", "2"]);
    reserved.aim(gateway.nomqPort);
    const packetOf = createResender();
    for (const input of publishInputs.filter((one) => clockOf(one) === "unset"))
      await reserved.send(packetOf(input));
    await subscriber.atLeast(1);
    expect(subscriber.printed.map(({ topic, text }) => `${topic} ${text}`)).toEqual(["a/b hello"]);
  });

  test("delivers TTL 0 to those who are there and stores it for no one", async () => {
    await using gateway = await launchGateway({ nomq: { channels } });
    const session = ["-q", "1", "-c", "-i", "sleeper", "-x", "600"];
    await (await subscribe(gateway.mqtt, "a/b", session))[Symbol.asyncDispose]();
    await using awake = await subscribe(gateway.mqtt, "a/b", ["-q", "1"]);
    await using device = await openDevice(vectorKey, gateway.nomqPort);
    const common = { channel: "a/b", sessionId: randomId(), timestamp: unixSeconds(), flags: 0b101 };
    await device.send({ ...common, message: "now or never", ttl: 0 });
    await awake.atLeast(1);
    await device.send({ ...common, message: "for all", ttl: 600, flags: 0b001 });
    await awake.atLeast(2);
    await using back = await subscribe(gateway.mqtt, "a/b", session);
    await back.atLeast(1);
    await using late = await subscribe(gateway.mqtt, "a/b", ["-q", "1"]);
    await publish(gateway.mqtt, "a/b", "end", ["-q", "1"]);
    await awake.atLeast(3);
    await back.atLeast(2);
    await late.atLeast(1);
    expect(awake.printed.map(({ text }) => text)).toEqual(["now or never", "for all", "end"]);
    expect(back.printed.map(({ text }) => text)).toEqual(["for all", "end"]);
    expect(late.printed.map(({ text }) => text)).toEqual(["end"]);
  });
});

/** An empty channel is refused as such, or has a hash that no name has. */
const countOf = (rejected: Rejected, refused: Readonly<Record<string, number>>): number =>
  rejected["unknown-channel"] + (refused["channel-invalid"] ?? 0);

/** What is left of each time to live goes out as MQTT 5's Message Expiry Interval. */
function expectTimeToLive(printed: readonly Printed[]): void {
  for (const [at, input] of accepted.entries()) {
    const expiry = printed[at]?.expiry ?? 0;
    expect(expiry, input.name).toBeLessThanOrEqual(input.ttl);
    expect(expiry, input.name).toBeGreaterThanOrEqual(Math.max(input.ttl - 60, 0));
  }
}

function expectPriorities(printed: readonly Printed[]): void {
  for (const [at, input] of accepted.entries()) {
    if (priorityOf(input) === 0) continue;
    expect(printed[at]?.properties, input.name).toContain(String(priorityOf(input)));
  }
}
