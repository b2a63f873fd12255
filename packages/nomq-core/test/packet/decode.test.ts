import { describe, expect, test } from "vitest";
import {
  channelId,
  createKeyRing,
  createPacketKey,
  decodePacket,
  encodePacket,
  type Key,
  type KeyRing,
  type Packet,
} from "../../src/index.ts";
import { sealV1, type V1Frame } from "../../src/testing/index.ts";
import { bytes, hex, vectorKey, vectorRing, vectors } from "../vectors.ts";

const keys = { encryption: bytes(vectors.keys.encryption_key), mac: bytes(vectors.keys.hmac_key) };
const key = createPacketKey(vectorKey());
const publish: Packet & { type: "PUBLISH" } = {
  type: "PUBLISH",
  flags: 0,
  packetId: 1,
  sessionId: 2,
  ttl: 3,
  timestamp: 4,
  channelId: channelId("a/b"),
  nonce: 5,
  innerTimestamp: 6n,
  message: bytes("68656c6c6f"),
  layout: 16,
};

const sealed = (over: Partial<V1Frame>): Buffer =>
  sealV1({ ...publish, type: 1, iv: Buffer.alloc(16, 9), plaintext: new Uint8Array(0), ...over }, keys);

function outcome(datagram: Uint8Array, ring: KeyRing = vectorRing()): string {
  const result = decodePacket(datagram, ring);
  if (!result.ok) return `${result.reason}: ${result.detail}`;
  return result.packet.type === "PUBLISH"
    ? `message ${Buffer.from(result.packet.message)}`
    : result.packet.type;
}

describe("the packets recorded on devices, read by us", () => {
  // Where we differ from a device: the unfilled PUBLISH and the long one are read, trailing bytes and unequal IVs
  // are not. Clock, replay and channel are not the codec's business.
  const read = (text: string): string => `message ${text}`;
  const BAD_MAC = "bad-mac: no configured key fits";
  const differently = new Map([
    ["publish 1915 bytes (largest accepted)", read("x".repeat(1_915))],
    ["publish 1916 bytes (truncated by recvfrom(2048))", read("x".repeat(1_916))],
    ["publish as the original sends it (no filler)", read("hello")],
    ["publish as the original sends it, 3-byte message", read("abc")],
    ["publish, bytes after the message", "malformed: PUBLISH length does not match its plaintext"],
    ["publish, header IV differs from payload IV", BAD_MAC],
    ["publish, nonce N second use", read("two")],
    ["publish, real HMAC-SHA256", BAD_MAC],
    ["publish, IV only in header (README layout), suffix MAC", BAD_MAC],
    ["publish, one trailing byte", "malformed: payload length does not match the datagram"],
    ["publish, wrong MAC key", BAD_MAC],
    [
      "publish, wrong encryption key",
      "malformed: padding is wrong after decryption: the encryption key may not fit",
    ],
    ["publish, version 2", "malformed: another protocol version"],
    ["publish, magic 4e4e", "malformed: does not begin with NM"],
    ["publish, payload_length 16 (IV only)", BAD_MAC],
    ["heartbeat, zero channel id", "HEARTBEAT"],
    ["heartbeat, subscribed channel id -> HEARTBEAT with zero channel id", "HEARTBEAT"],
    ["subscribe from a peer", "SUBSCRIBE"],
    ["unsubscribe from a peer", "UNSUBSCRIBE"],
    ["PUBREL for the PUBREC sent above -> PUBCOMP", "PUBREL"],
    ["type 9", "malformed: unknown packet type"],
  ]);

  test.each(vectors.receive)("$name", ({ name, hex: datagram, expect: { delivered } }) => {
    expect(outcome(bytes(datagram))).toBe(differently.get(name) ?? read(delivered ?? "hello"));
  });

  test("a key of dialect micropython goes by the payload's IV, as devices do", () => {
    const unequal = vectors.receive.find(({ name }) => name.startsWith("publish, header IV differs"));
    expect(outcome(bytes(unequal?.hex ?? ""), vectorRing("micropython"))).toBe("message hello");
  });
});

describe("dialects are told by structure, and no other MAC is tried (protocol.md section 1b)", () => {
  const hmac = createPacketKey({ ...vectorKey(), mac: keys.mac });
  const swap = (datagram: Uint8Array, dialect: "micropython" | "standard"): Uint8Array => {
    const other = Uint8Array.from(datagram);
    other.set(hmac.macs[dialect](datagram, datagram.length - 32), datagram.length - 32);
    return other;
  };

  test.each(["auto", "micropython", "standard"] as const)("key of dialect %s", (dialect) => {
    const ring = vectorRing(dialect);
    const micropython = encodePacket(publish, key, { dialect: "micropython" });
    const standard = encodePacket(publish, key, { dialect: "standard" });
    expect(outcome(swap(micropython, "standard"), ring)).toMatch(/^bad-mac/);
    expect(
      outcome(swap(standard, "micropython"), vectorRing(dialect === "micropython" ? "auto" : dialect)),
    ).toMatch(/^bad-mac/);
  });
});

describe("structure is checked before any crypto", () => {
  const explode = (): never => {
    throw new Error("crypto was called");
  };
  const armed: KeyRing = {
    keys: [
      {
        ...key,
        cipher: { encrypt: explode, decrypt: explode },
        macs: { micropython: explode, standard: explode },
      },
    ],
    get: () => undefined,
  };
  const good = encodePacket(publish, key, { dialect: "micropython" });
  const changed = (at: number, ...to: number[]): Uint8Array => {
    const datagram = Uint8Array.from(good);
    datagram.set(to, at);
    return datagram;
  };

  test.each([
    ["empty", new Uint8Array(0)],
    ["shorter than any packet", good.subarray(0, 100)],
    ["magic", changed(0, 0x4f)],
    ["version", changed(2, 2)],
    ["type 0", changed(3, 0)],
    ["type 9", changed(3, 9)],
    ["type 255", changed(3, 255)],
    ["length too small", changed(51, 0, 32)],
    ["length too large", changed(51, 0xff, 0xf0)],
    ["trailing byte", Buffer.concat([good, Buffer.alloc(1)])],
    ["payload of no whole blocks", Buffer.concat([changed(51, 0, 49), Buffer.alloc(1)])],
  ])("%s", (_, datagram) => {
    expect(decodePacket(datagram, armed)).toMatchObject({ ok: false, reason: "malformed" });
  });

  test("longer than the limit that was given", () => {
    expect(decodePacket(good, armed, { maxDatagram: good.length - 1 })).toMatchObject({ ok: false });
    expect(decodePacket(good, vectorRing(), { maxDatagram: good.length })).toMatchObject({ ok: true });
  });

  test("the same datagram, whole, does reach the crypto", () => {
    expect(() => decodePacket(good, armed)).toThrow("crypto was called");
  });
});

describe("plaintexts", () => {
  test.each([
    [
      "SUBSCRIBE whose name is no UTF-8",
      { type: 2, plaintext: bytes("eda080") },
      "malformed: channel name is not UTF-8",
    ],
    [
      "SUBSCRIBE with an overlong form",
      { type: 2, plaintext: bytes("c080") },
      "malformed: channel name is not UTF-8",
    ],
    [
      "SUBSCRIBE under another channel's id",
      { type: 2, plaintext: bytes("61") },
      "malformed: channel name does not belong to the channel id",
    ],
    [
      "UNSUBSCRIBE under another channel's id",
      { type: 4, plaintext: bytes("61") },
      "malformed: channel name does not belong to the channel id",
    ],
    ["ACK of 3 bytes", { type: 3, plaintext: bytes("000000") }, "malformed: acknowledgement is not 4 bytes"],
    [
      "PUBREC of 5 bytes",
      { type: 6, plaintext: bytes("0000000000") },
      "malformed: acknowledgement is not 4 bytes",
    ],
    ["HEARTBEAT with content", { type: 5, plaintext: bytes("00") }, "malformed: HEARTBEAT is not empty"],
    [
      "PUBLISH of 15 bytes",
      { plaintext: new Uint8Array(15) },
      "malformed: PUBLISH length does not match its plaintext",
    ],
    [
      "PUBLISH that says less than it has",
      { plaintext: new Uint8Array(18) },
      "malformed: PUBLISH length does not match its plaintext",
    ],
    ["PUBLISH, empty, as sent", { plaintext: new Uint8Array(16) }, "message "],
    ["PUBLISH, empty, as required", { plaintext: new Uint8Array(20) }, "message "],
  ])("%s", (_, frame, wanted) => {
    expect(outcome(sealed(frame))).toBe(wanted);
  });

  test("a message is bytes: nothing of it is read as text", () => {
    const message = bytes("fffefd00c080eda080");
    const result = decodePacket(
      encodePacket({ ...publish, message }, key, { dialect: "micropython" }),
      vectorRing(),
    );
    expect(result.ok && result.packet.type === "PUBLISH" && hex(result.packet.message)).toBe(hex(message));
  });

  test("a byte order mark is part of a channel's name", () => {
    const channel = "\ufeffa";
    const packet: Packet = { ...publish, type: "SUBSCRIBE", channel, channelId: channelId(channel) };
    const result = decodePacket(encodePacket(packet, key, { dialect: "standard" }), vectorRing());
    expect(result.ok && result.packet).toMatchObject({ channel });
  });
});

describe("several keys", () => {
  const other: Key = {
    id: "other",
    encryption: new Uint8Array(32),
    mac: new Uint8Array(32),
    dialect: "auto",
  };
  const sameMac: Key = { ...other, id: "same-mac", mac: keys.mac };
  const datagram = encodePacket(publish, key, { dialect: "micropython", iv: new Uint8Array(16) });

  test("the first that fits reads it and is named", () => {
    const result = decodePacket(datagram, createKeyRing([other, vectorKey()]));
    expect(result.ok && result.key.id).toBe("site");
  });

  test("a shared MAC half does not hide the right key", () => {
    expect(decodePacket(datagram, createKeyRing([sameMac]))).toMatchObject({
      ok: false,
      reason: "malformed",
    });
    const result = decodePacket(datagram, createKeyRing([sameMac, vectorKey()]));
    expect(result.ok && result.key.id).toBe("site");
  });

  test("no key fits: bad-mac; no key at all: bad-mac", () => {
    expect(outcome(datagram, createKeyRing([other]))).toMatch(/^bad-mac/);
    expect(outcome(datagram, createKeyRing([]))).toMatch(/^bad-mac/);
  });

  test("keys of wrong length and ids used twice are refused", () => {
    expect(() => createKeyRing([{ ...other, mac: new Uint8Array(31) }])).toThrow(
      /^key-invalid: the mac key of "other"/,
    );
    expect(() => createPacketKey({ ...other, encryption: new Uint8Array(33) })).toThrow(/^key-invalid/);
    expect(() => createKeyRing([other, other])).toThrow(/^key-invalid: two keys/);
  });
});
