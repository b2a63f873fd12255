import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodePacket, type NodePublishOptions, type PublishOutcome } from "../../src/index.ts";
import { createV1Device, openV1, type V1Driver } from "../../src/testing/index.ts";
import { vectorKey, vectorRing } from "../vectors.ts";
import { createRoom, createWorld, type Room, text, until, type World } from "./node-room.ts";

const RUNS = process.env["NOMQ_LONG"] === undefined ? 20 : 500;
const EPOCH_2000 = -946_684_800;

async function publish(
  world: World,
  room: Room,
  options: NodePublishOptions & { text?: string } = {},
): Promise<PublishOutcome> {
  let outcome: PublishOutcome | undefined;
  const promise = room.node.publish("a/b", text(options.text ?? "m"), options);
  void promise.then((value) => {
    outcome = value;
  });
  await until(world.clock, () => outcome !== undefined, 600_000);
  return promise;
}

function publishesTo(device: V1Driver): { nonce: number; iv: string; at: number }[] {
  return device.received.flatMap(({ datagram, at }) => {
    const result = decodePacket(datagram, vectorRing());
    if (!result.ok || result.packet.type !== "PUBLISH") return [];
    const iv = Buffer.from(datagram.subarray(15, 31)).toString("hex");
    return [{ nonce: result.packet.nonce, iv, at }];
  });
}

test("while a node starts nothing leaves it: a device answers once, and nobody would hear", async () => {
  const world = createWorld();
  const device = world.device();
  const { promise: stored, resolve: store } = Promise.withResolvers<void>();
  const options = { clock: world.clock, keys: [vectorKey()], transport: world.network.open() };
  const room = createRoom(options, { remember: () => stored });
  const starting = room.node.start();
  await world.clock.advance(500);
  expect(room.node.local()).toBeDefined();
  expect(await publish(world, room, { qos: 2, to: device.local })).toMatchObject({
    is: "refused",
    reason: "closed",
    sent: false,
  });
  expect(device.received).toEqual([]);
  store();
  await starting;
  expect(await publish(world, room, { qos: 2, to: device.local })).toMatchObject({ is: "delivered" });
  expect(device.delivered).toHaveLength(1);
  await room.node.stop();
  await world.stop();
  expect(world.clock.pending()).toBe(0);
});

describe("towards a v1 device", () => {
  test.each([0, 1, 2] as const)("QoS %s is delivered once where nothing is lost", async (qos) => {
    const world = createWorld();
    const room = await world.node();
    const device = world.device({ paced: true });
    expect(await publish(world, room, { qos, to: device.local })).toMatchObject({ is: "delivered" });
    await world.clock.advance(5000);
    expect(device.delivered.map((one) => one.text)).toEqual(["m"]);
    expect(device.pending().size).toBe(0);
    await world.stop();
    expect(world.clock.pending()).toBe(0);
  });

  test("QoS 2 with PUBREC cut is uncertain after about 20 s of identical bytes, and arrived once", async () => {
    const world = createWorld();
    const room = await world.node();
    const device = world.device({ cut: ["PUBREC"] });
    const begun = world.clock.monotonic();
    const outcome = await publish(world, room, { qos: 2, to: device.local, ttl: 3600 });
    expect(outcome).toMatchObject({ is: "uncertain", reason: "no PUBREC" });
    expect(world.clock.monotonic() - begun).toBeLessThan(22_000);
    expect(device.delivered).toHaveLength(1);
    expect(new Set(publishesTo(device).map(({ iv }) => iv)).size).toBeLessThanOrEqual(2);
    await world.stop();
  });

  test("QoS 2 whose PUBCOMP is cut counts as delivered: PUBREC has said so (section 10.4)", async () => {
    const world = createWorld();
    const room = await world.node();
    const device = world.device({ cut: ["PUBCOMP"] });
    expect(await publish(world, room, { qos: 2, to: device.local })).toMatchObject({ is: "delivered" });
    expect(device.delivered).toHaveLength(1);
    await world.stop();
  });

  test("QoS 1 with ACKs cut is tried again with a fresh nonce until its time to live ends", async () => {
    const world = createWorld();
    const room = await world.node();
    const device = world.device({ cut: ["ACK"] });
    await device.publish({ channel: "a/b", message: "here I am" }, room.node.local() ?? device.local);
    const outcome = await publish(world, room, { qos: 1, to: device.local, ttl: 10 });
    expect(outcome).toMatchObject({ is: "expired", sent: true });
    const sends = publishesTo(device);
    expect(sends.length).toBeGreaterThanOrEqual(3);
    expect(new Set(sends.map(({ nonce }) => nonce)).size).toBe(sends.length);
    expect(new Set(sends.map(({ iv }) => iv)).size).toBe(sends.length);
    const lastAt = Math.max(...sends.map(({ at }) => at));
    expect(lastAt).toBeLessThan((sends[0]?.at ?? 0) + 10_000);
    await world.stop();
  });

  test("QoS 1 without an end is unanswered after some attempts, so that its publisher may try again", async () => {
    const world = createWorld();
    const room = await world.node();
    const outcome = await publish(world, room, { qos: 1, to: { host: "10.9.9.9", port: 1 } });
    expect(outcome).toMatchObject({ is: "unanswered", reason: "no-answer", sent: true });
    await world.stop();
  });

  test("one that was never heard is reached in either epoch, at every QoS", async () => {
    for (const qos of [0, 1, 2] as const) {
      for (const offsetSeconds of [0, EPOCH_2000]) {
        const world = createWorld();
        const room = await world.node();
        const device = world.device({ offsetSeconds });
        expect(await publish(world, room, { qos, to: device.local })).toMatchObject({ is: "delivered" });
        await world.clock.advance(0);
        expect(device.delivered.map((one) => one.text)).toEqual(["m"]);
        await world.stop();
      }
    }
  });

  test("one that was heard gets single copies, stamped with its own clock", async () => {
    const world = createWorld();
    const room = await world.node();
    const device = world.device({ offsetSeconds: EPOCH_2000 + 12_600 + 7 });
    await device.publish({ channel: "a/b", message: "here I am" }, room.node.local() ?? device.local);
    await world.clock.advance(0);
    await publish(world, room, { to: device.local });
    await world.clock.advance(0);
    expect(device.received).toHaveLength(1);
    expect(device.delivered.map((one) => one.text)).toEqual(["m"]);
    await world.stop();
  });

  test("at most 5 datagrams a second leave, and one is awaited at a time", async () => {
    const world = createWorld();
    const room = await world.node({ peers: [] });
    const device = world.device();
    await device.publish({ channel: "a/b", message: "here I am" }, room.node.local() ?? device.local);
    await world.clock.advance(0);
    const sends = Array.from({ length: 20 }, (_, at) =>
      room.node.publish("a/b", text(`m${at}`), { qos: at % 2 === 0 ? 0 : 1, to: device.local }),
    );
    await world.clock.advance(10_000);
    await Promise.all(sends);
    expect(device.delivered.map((one) => one.text)).toEqual(Array.from({ length: 20 }, (_, at) => `m${at}`));
    const times = publishesTo(device).map(({ at }) => at);
    const gaps = times.slice(1).map((at, index) => at - (times[index] ?? 0));
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(200);
    await world.stop();
  });

  test("answers go at once and space out what follows, but messages are not starved by a device that talks a lot", async () => {
    const world = createWorld();
    const room = await world.node();
    const device = world.device();
    const to = room.node.local() ?? device.local;
    const talk = async (steps: number): Promise<void> => {
      for (let step = 0; step < steps; step += 1) {
        await device.publish({ channel: "a/b", message: "talk", qos: 1 }, to);
        await world.clock.advance(100);
      }
    };
    await talk(1);
    const sends = ["m1", "m2", "m3"].map((one) => room.node.publish("a/b", text(one), { to: device.local }));
    await talk(50);
    await Promise.all(sends);
    expect(device.delivered.map((one) => one.text)).toEqual(["m1", "m2", "m3"]);
    expect(device.pending().size).toBe(0);
    await world.clock.advance(1000);
    await device.publish({ channel: "a/b", message: "ask", qos: 1 }, to);
    await world.clock.advance(0);
    const answeredAt = device.received.at(-1)?.at ?? 0;
    void room.node.publish("a/b", text("after"), { to: device.local });
    await world.clock.advance(1000);
    expect((device.received.at(-1)?.at ?? 0) - answeredAt).toBe(200);
    await world.stop();
  });

  test("too large for it is refused, never cut", async () => {
    const world = createWorld();
    const room = await world.node({ limits: { message: 65_507 } });
    const device = world.device();
    const outcomeOf = (bytes: number) =>
      publish(world, room, { qos: 1, to: device.local, text: "x".repeat(bytes) });
    expect(await outcomeOf(1340)).toMatchObject({ is: "refused", reason: "too-large" });
    expect(await outcomeOf(1339)).toMatchObject({ is: "delivered" });
    expect(device.received[0]?.datagram.length).toBeLessThanOrEqual(1472);
    await world.stop();
  });

  test("what says delivered at QoS 1 and 2 has arrived, and QoS 2 never arrives twice, whatever is lost", async () => {
    const conditions = fc.record({
      seed: fc.integer({ min: 1, max: 1_000_000 }),
      loss: fc.constantFrom(0.1, 0.4, 0.8),
      duplicate: fc.constantFrom(0, 0.3),
      delayMs: fc.constantFrom<[number, number]>([0, 20], [200, 2000]),
    });
    await fc.assert(
      fc.asyncProperty(conditions, fc.constantFrom(0, EPOCH_2000), async (network, offsetSeconds) => {
        const world = createWorld(network);
        const room = await world.node();
        const device = world.device({ offsetSeconds });
        for (const [at, qos] of ([1, 2, 2, 1] as const).entries()) {
          const outcome = await publish(world, room, { qos, to: device.local, text: `m${at}`, ttl: 60 });
          await world.clock.advance(5000);
          const copies = device.delivered.filter((one) => one.text === `m${at}`).length;
          if (outcome.is === "delivered") expect(copies).toBeGreaterThanOrEqual(1);
          if (qos === 2) expect(copies).toBeLessThanOrEqual(1);
          if (qos === 2 && outcome.is !== "delivered") expect(outcome.is).toBe("uncertain");
        }
        await world.stop();
        expect(world.clock.pending()).toBe(0);
      }),
      { numRuns: RUNS, seed: 13 },
    );
  });
});

test("an answer from anywhere but the peer ends no transfer, though it has the key and the number", async () => {
  const world = createWorld();
  const room = await world.node();
  const device = world.device({ cut: ["ACK"] });
  let outcome: PublishOutcome | undefined;
  void room.node.publish("a/b", text("m"), { qos: 1, to: device.local, ttl: 5 }).then((value) => {
    outcome = value;
  });
  await world.clock.advance(100);
  const { encryption, mac } = vectorKey();
  const forger = createV1Device({ encryption, mac, channels: ["a/b"] });
  const now = Math.floor(world.clock.now() / 1000);
  const { datagram } = device.received[0] ?? { datagram: text("") };
  const ack = forger.receive(datagram, device.local, now).reply?.datagram ?? text("");
  await world.network.open().send(ack, room.node.local() ?? device.local);
  await world.clock.advance(10_000);
  expect(room.node.status().accepted).toBe(1);
  expect(outcome).toMatchObject({ is: "expired" });
  await world.stop();
});

describe("from a v1 device", () => {
  test.each([0, 1, 2] as const)("QoS %s is taken once and answered", async (qos) => {
    const world = createWorld();
    const room = await world.node();
    const device = world.device();
    await device.publish({ channel: "a/b", message: "22.5", qos }, room.node.local() ?? device.local);
    await world.clock.advance(1000);
    expect(room.texts()).toEqual(["22.5"]);
    expect(room.taken[0]?.qos).toBe(qos);
    expect(device.pending().size).toBe(0);
    await world.stop();
  });

  test("QoS 2 of a device that does not subscribe to its own channel is taken with PUBLISH (section 10.3)", async () => {
    const world = createWorld();
    const room = await world.node();
    const device = world.device({ channels: [] });
    await device.publish({ channel: "a/b", message: "22.5", qos: 2 }, room.node.local() ?? device.local);
    await world.clock.advance(1000);
    expect(room.texts()).toEqual(["22.5"]);
    await world.stop();
  });

  test("answers leave from the bound port, carry our mark, and open with the device's own reader", async () => {
    const world = createWorld();
    const room = await world.node();
    const device = world.device();
    await device.publish({ channel: "a/b", message: "22.5", qos: 1 }, room.node.local() ?? device.local);
    await world.clock.advance(0);
    expect(device.received[0]?.from).toEqual(room.node.local());
    const datagram = device.received[0]?.datagram ?? new Uint8Array();
    expect((datagram[4] ?? 0) & 0b1000).toBe(0b1000);
    const { encryption, mac } = vectorKey();
    const now = Math.floor(world.clock.now() / 1000);
    expect(openV1(Buffer.from(datagram), { encryption, mac }, { from: "", now })).toHaveProperty("frame");
    await world.stop();
  });
});
