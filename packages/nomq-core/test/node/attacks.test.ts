// What docs/security.md says an attacker can do: each weakness shown, so that the page changes when it is mended.
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  channelId,
  createPacketKey,
  decodePacket,
  type Endpoint,
  encodePacket,
  isNoChannelId,
  type Packet,
  peekHeader,
  readPublishFlags,
} from "../../src/index.ts";
import { vectorKey, vectorRing } from "../vectors.ts";
import { createWorld, type Room, text, until, type World } from "./node-room.ts";

const key = createPacketKey(vectorKey());
let world: World;

beforeEach(() => {
  world = createWorld();
});

afterEach(() => world.stop());

const seconds = (): number => Math.floor(world.clock.now() / 1_000);

/** A PUBLISH as any holder of the key can make it. */
function publish(message: string, changes: Partial<Packet & { type: "PUBLISH" }> = {}): Uint8Array {
  const packet: Packet = {
    type: "PUBLISH",
    flags: 1,
    packetId: 7,
    sessionId: 0x0dd_ba11,
    ttl: 3_600,
    timestamp: seconds(),
    channelId: channelId("a/b"),
    nonce: 99,
    innerTimestamp: BigInt(seconds()),
    message: text(message),
    layout: 16,
    ...changes,
  };
  return encodePacket(packet, key, { dialect: "micropython" });
}

async function sendTo(room: Room, datagram: Uint8Array, from?: Partial<Endpoint>): Promise<void> {
  await using attacker = world.network.open(from);
  await attacker.send(datagram, room.node.local() ?? attacker.local);
  await world.clock.advance(1);
}

describe("an eavesdropper without the key", () => {
  test("reads type, QoS, retain, priority, ids, time and length, and nothing of the message", () => {
    const datagram = publish("the secret", { flags: 0b0101_0110 });
    const header = peekHeader(datagram);
    expect(header).toMatchObject({ type: "PUBLISH", packetId: 7, sessionId: 0x0dd_ba11, payloadLength: 48 });
    expect(readPublishFlags(header?.flags ?? 0)).toEqual({ qos: 2, retain: true, priority: 5 });
    expect(Buffer.from(datagram).includes("the secret")).toBe(false);
  });

  test("finds a channel's name by hashing guesses", () => {
    const seen = Buffer.from(peekHeader(publish("x"))?.channelId ?? []);
    expect(["door", "alarm", "a/b"].filter((guess) => seen.equals(channelId(guess)))).toEqual(["a/b"]);
  });
});

describe("a holder of the key", () => {
  test("speaks as any device: a packet does not say whose it is", async () => {
    const room = await world.node({ peers: [{ name: "valve", address: { host: "10.1.0.1", port: 9_001 } }] });
    await sendTo(room, publish("forged"), { host: "10.1.0.1", port: 9_001 });
    expect(room.taken.map(({ peer, payload }) => [peer.id, Buffer.from(payload).toString()])).toEqual([
      ["valve", "forged"],
    ]);
  });

  test("acknowledges for a device from that device's address", async () => {
    const room = await world.node();
    const victim = { host: "10.1.0.2", port: 9_002 };
    const outcome = room.node.publish("a/b", text("open"), { to: victim, qos: 1 });
    const wire = world.network.open(victim);
    const seen: Uint8Array[] = [];
    wire.onDatagram((datagram) => seen.push(datagram));
    await until(world.clock, () => seen.length > 0);
    const packetId = peekHeader(seen[0] ?? new Uint8Array())?.packetId ?? 0;
    const head = {
      flags: 1,
      packetId,
      sessionId: 1,
      ttl: 3_600,
      timestamp: seconds(),
      channelId: channelId("a/b"),
    };
    const ack = encodePacket({ type: "ACK", ...head, acknowledged: packetId }, key, {
      dialect: "micropython",
    });
    await wire.send(ack, room.node.local() ?? victim);
    expect(await outcome).toMatchObject({ is: "delivered" });
  });
});

describe("a recording", () => {
  test("made for one receiver is taken by another with the same key: a packet does not say whom it is for", async () => {
    const [one, other] = [await world.node(), await world.node()];
    const recorded = publish("once");
    for (const room of [one, other, one, other]) await sendTo(room, recorded);
    expect([one.texts(), other.texts()]).toEqual([["once"], ["once"]]);
  });

  // A fresh node takes a whole number of quarter-hours for a time zone (protocol.md section 7).
  test.each([
    ["10 s", 10, ["again"]],
    ["7 min", 420, []],
    ["15 min", 900, ["again"]],
    ["25 h 45 min", 92_700, []],
    ["12 h", 43_200, ["again"]],
    ["12 h 15 min", 44_100, []],
    ["a month", 2_592_000, []],
  ])("of %s ago, at a node that kept nothing", async (_age, age, taken) => {
    const room = await world.node();
    await sendTo(room, publish("again", { timestamp: seconds() - age }));
    expect(room.texts()).toEqual(taken);
    await sendTo(room, publish("again", { timestamp: seconds() - age }));
    expect(room.texts()).toEqual(taken);
  });

  test("of any age is taken once from a device with `clock: any`, at a node that kept nothing", async () => {
    const address = { host: "10.1.0.3", port: 9_003 };
    const room = await world.node({ peers: [{ name: "old", address, clock: "any" }] });
    const recorded = publish("again", { timestamp: seconds() - 2_592_000 });
    await sendTo(room, recorded, address);
    await sendTo(room, recorded, address);
    expect(room.texts()).toEqual(["again"]);
  });

  test("of an answered heartbeat is answered again by a device, as often as it is sent", async () => {
    const device = world.device();
    const probe = encodePacket(
      {
        type: "HEARTBEAT",
        flags: 0,
        packetId: 1,
        sessionId: 2,
        ttl: 3_600,
        timestamp: seconds(),
        channelId: channelId("a/b"),
      },
      key,
      { dialect: "micropython" },
    );
    const attacker = world.network.open();
    const answers: Uint8Array[] = [];
    attacker.onDatagram((datagram) => answers.push(datagram));
    for (let copy = 0; copy < 3; copy += 1) await attacker.send(probe, device.local);
    await until(world.clock, () => answers.length >= 3, 5_000);
    expect(answers).toHaveLength(3);
    const [answer] = answers.map((datagram) => decodePacket(datagram, vectorRing()));
    expect(answer?.ok === true && isNoChannelId(answer.packet.channelId)).toBe(true);
  });

  test("stamped ahead is taken twice by a device: it forgets nonces after 30 s", async () => {
    const device = world.device();
    const ahead = publish("open", { timestamp: seconds() + 29, layout: 20 });
    await using attacker = world.network.open();
    await attacker.send(ahead, device.local);
    await until(world.clock, () => device.delivered.length === 1, 5_000);
    await world.clock.advance(31_000);
    // The device clears nonces only when it takes another message.
    await attacker.send(publish("other", { nonce: 100, packetId: 8, layout: 20 }), device.local);
    await until(world.clock, () => device.delivered.length === 2, 5_000);
    await attacker.send(ahead, device.local);
    await until(world.clock, () => device.delivered.length === 3, 5_000);
    expect(device.delivered.map((one) => one.text)).toEqual(["open", "other", "open"]);
  });
});
