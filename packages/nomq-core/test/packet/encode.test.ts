import { describe, expect, test } from "vitest";
import {
  channelId,
  createPacketKey,
  decodePacket,
  encodePacket,
  LARGEST_DATAGRAM,
  type Packet,
  publishSize,
} from "../../src/index.ts";
import { bytes, hex, vectorKey, vectorRing } from "../vectors.ts";

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

function outcome(datagram: Uint8Array): string {
  const result = decodePacket(datagram, vectorRing());
  if (!result.ok) return result.reason;
  return result.packet.type === "PUBLISH"
    ? `message ${Buffer.from(result.packet.message)}`
    : result.packet.type;
}

describe("writing", () => {
  test("layout 20 has four zero bytes before the message, and both IVs are equal", () => {
    const datagram = encodePacket({ ...publish, layout: 20 }, key, { dialect: "micropython" });
    expect(hex(datagram.subarray(15, 31))).toBe(hex(datagram.subarray(53, 69)));
    const padded = key.cipher.decrypt(datagram.subarray(69, -32), datagram.subarray(53, 69));
    expect(hex(padded.subarray(16, 25))).toBe("0000000068656c6c6f");
  });

  test("an IV is drawn anew each time", () => {
    const ivs = Array.from({ length: 1_000 }, () =>
      hex(encodePacket(publish, key, { dialect: "standard" }).subarray(15, 31)),
    );
    expect(new Set(ivs).size).toBe(1_000);
  });

  test("1,339 bytes to a device and 1,343 from one fill 1,472 bytes (protocol.md section 8)", () => {
    const size = (messageBytes: number, layout: 16 | 20): number => {
      const packet = { ...publish, layout, message: new Uint8Array(messageBytes) };
      return encodePacket(packet, key, { dialect: "micropython" }).length;
    };
    expect(size(1_339, 20)).toBe(1_461);
    expect(size(1_340, 20)).toBe(1_477);
    expect(size(1_343, 16)).toBe(1_461);
    for (const bytes of [0, 15, 16, 1_339]) {
      for (const layout of [16, 20] as const) {
        expect(publishSize(bytes, { dialect: "micropython", layout })).toBe(size(bytes, layout));
      }
    }
  });

  test("the largest message that UDP carries goes through; one byte more is refused", () => {
    const room = (dialect: "micropython" | "standard"): number => {
      let fits = 65_507;
      while (publishSize(fits, { dialect, layout: 16 }) > LARGEST_DATAGRAM) fits -= 1;
      return fits;
    };
    for (const dialect of ["micropython", "standard"] as const) {
      const most = { ...publish, message: new Uint8Array(room(dialect)).fill(7) };
      expect(outcome(encodePacket(most, key, { dialect })).length).toBe("message ".length + room(dialect));
      const over = { ...publish, message: new Uint8Array(room(dialect) + 1) };
      expect(() => encodePacket(over, key, { dialect })).toThrow(/^datagram-too-large: PUBLISH takes/);
    }
    expect(() => encodePacket(publish, key, { dialect: "standard", maxDatagram: 100 })).toThrow(/limit 100/);
  });

  test.each([
    ["flags", { flags: 256 }],
    ["packet id", { packetId: 2 ** 32 }],
    ["session id", { sessionId: -1 }],
    ["ttl", { ttl: 65_536 }],
    ["timestamp", { timestamp: 2 ** 32 }],
    ["nonce", { nonce: 2 ** 32 }],
    ["inner timestamp", { innerTimestamp: 2n ** 64n }],
    ["channel id", { channelId: new Uint8Array(15) }],
  ])("a %s that does not fit its field is an error, never cut", (_, field) => {
    expect(() => encodePacket({ ...publish, ...field }, key, { dialect: "standard" })).toThrow(RangeError);
    // A refused packet leaves the key as it was.
    expect(outcome(encodePacket(publish, key, { dialect: "standard" }))).toBe("message hello");
  });

  test("an IV of wrong length and a name that is no Unicode are errors", () => {
    expect(() => encodePacket(publish, key, { dialect: "standard", iv: new Uint8Array(15) })).toThrow(
      RangeError,
    );
    const torn: Packet = { ...publish, type: "SUBSCRIBE", channel: "\ud800" };
    expect(() => encodePacket(torn, key, { dialect: "standard" })).toThrow(RangeError);
  });
});
