import { describe, expect, test } from "vitest";
import { decodePacket, type Rejection } from "../../src/index.ts";
import { bytes, type ReceiveVector, vectorKey, vectorRing, vectors } from "../vectors.ts";
import { createWorld, type Room, read, type World } from "./node-room.ts";

const UNFILLED = "publish as the original sends it (no filler)";
const UNFILLED_SHORT = "publish as the original sends it, 3-byte message";
const LONGER = "publish 1916 bytes (truncated by recvfrom(2048))";
const TRAILING = "publish, bytes after the message";
const TWO_IVS = "publish, header IV differs from payload IV";

/** What our node does otherwise than a device (protocol.md, introduction): the message it takes, or null. */
const OTHERWISE: ReadonlyMap<string, string | null> = new Map([
  [UNFILLED, "hello"],
  [UNFILLED_SHORT, "abc"],
  [LONGER, "x".repeat(1916)],
  [TRAILING, null],
  [TWO_IVS, null],
]);

/** Why it drops what it drops. */
const REASONS: ReadonlyMap<string, Rejection> = new Map([
  [TRAILING, "malformed"],
  [TWO_IVS, "bad-mac"],
  ["publish, timestamp -31 s", "stale"],
  ["publish, timestamp +31 s", "stale"],
  ["publish, 2000-epoch timestamp", "replay"],
  ["publish, nonce N second use", "replay"],
  ["publish, real HMAC-SHA256", "bad-mac"],
  ["publish, IV only in header (README layout), suffix MAC", "bad-mac"],
  ["publish, unknown channel", "unknown-channel"],
  ["publish, one trailing byte", "malformed"],
  ["publish, wrong MAC key", "bad-mac"],
  ["publish, wrong encryption key", "malformed"],
  ["publish, version 2", "malformed"],
  ["publish, magic 4e4e", "malformed"],
  ["publish, payload_length 16 (IV only)", "bad-mac"],
  ["type 9", "malformed"],
]);

interface Side {
  readonly world: World;
  readonly room: Room;
  readonly answers: Uint8Array[];
  feed(vector: ReceiveVector): Promise<void>;
}

async function open(): Promise<Side> {
  const world = createWorld();
  const answers: Uint8Array[] = [];
  const device = world.network.open();
  device.onDatagram((datagram) => void answers.push(datagram));
  const room = await world.node();
  const to = room.node.local() ?? { host: "", port: 0 };
  return {
    world,
    room,
    answers,
    async feed(vector) {
      await device.send(bytes(vector.hex), to);
      await world.clock.advance(0);
    },
  };
}

function rejectedBy(room: Room): Readonly<Record<Rejection, number>> {
  return room.node.status().rejected;
}

function typeOf(datagram: Uint8Array | undefined): { type: string; packetId: string } | null {
  const result = datagram === undefined ? undefined : decodePacket(datagram, vectorRing());
  if (result?.ok !== true) return null;
  return { type: result.packet.type, packetId: result.packet.packetId.toString(16).padStart(8, "0") };
}

const TYPES: Readonly<Record<number, string>> = { 3: "ACK", 5: "HEARTBEAT", 6: "PUBREC", 8: "PUBCOMP" };

describe("fed what a device was fed, our node ends as the device or better", async () => {
  const side = await open();
  for (const vector of vectors.receive) {
    test(vector.name, async () => {
      const before = rejectedBy(side.room);
      const taken = side.room.taken.length;
      const answered = side.answers.length;
      await side.feed(vector);

      const otherwise = OTHERWISE.get(vector.name);
      const wanted = otherwise === undefined ? vector.expect.delivered : otherwise;
      const message = side.room.taken[taken];
      expect(message === undefined ? null : read(message.payload)).toBe(wanted);

      const { reply } = vector.expect;
      const answer = typeOf(side.answers[answered]);
      expect(answer?.type ?? null).toBe(reply === null ? null : (TYPES[reply.type] ?? "?"));
      if (reply !== null && reply.packet_id !== "random") expect(answer?.packetId).toBe(reply.packet_id);

      const reason = REASONS.get(vector.name);
      const after = rejectedBy(side.room);
      const moved = Object.entries(after).filter(([name, count]) => count !== before[name as Rejection]);
      expect(moved.map(([name]) => name)).toEqual(reason === undefined ? [] : [reason]);
    });
  }
});

test("the packet of an epoch-2000 board, fed alone to a fresh node, is taken", async () => {
  const side = await open();
  const vector = vectors.receive.find(({ name }) => name === "publish, 2000-epoch timestamp");
  if (vector !== undefined) await side.feed(vector);
  expect(side.room.texts()).toHaveLength(1);
});

test("with a key of dialect micropython, unequal IVs are taken as a device takes them", async () => {
  const world = createWorld();
  const room = await world.node({ keys: [vectorKey("micropython")] });
  const vector = vectors.receive.find(({ name }) => name === TWO_IVS);
  await world.network.open().send(bytes(vector?.hex ?? ""), room.node.local() ?? { host: "", port: 0 });
  await world.clock.advance(0);
  expect(room.texts()).toEqual(["hello"]);
});

test("standard packets are taken where the key allows the dialect, and answered in it", async () => {
  const world = createWorld();
  const answers: Uint8Array[] = [];
  const peer = world.network.open();
  peer.onDatagram((datagram) => void answers.push(datagram));
  const auto = await world.node();
  const device = await world.node({ keys: [vectorKey("micropython")] });
  const publish = vectors.standard.find(({ name }) => name.startsWith("publish qos1"));
  for (const room of [auto, device]) {
    await peer.send(bytes(publish?.hex ?? ""), room.node.local() ?? { host: "", port: 0 });
    await world.clock.advance(0);
  }
  expect(auto.texts()).toEqual(["hello"]);
  expect(device.texts()).toEqual([]);
  const result = decodePacket(answers[0] ?? new Uint8Array(), vectorRing());
  expect(result.ok && { type: result.packet.type, dialect: result.dialect }).toEqual({
    type: "ACK",
    dialect: "standard",
  });
});
