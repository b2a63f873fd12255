import { createCipheriv, createDecipheriv, createHash, createHmac } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  channelId,
  createKeyRing,
  createPacketKey,
  decodePacket,
  encodePacket,
  type KeyRing,
  PACKET_TYPES,
  type Packet,
} from "../../src/index.ts";
import { createBlockCipher, unpaddedLength } from "../../src/packet/cipher.ts";
import { createMac } from "../../src/packet/mac.ts";
import { openV1, sealV1 } from "../../src/testing/index.ts";
import { bytes, hex, vectorKey, vectors } from "../vectors.ts";
import { anyDialect, anyIv, anyPacket, runs } from "./arbitraries.ts";

const keys = { encryption: bytes(vectors.keys.encryption_key), mac: bytes(vectors.keys.hmac_key) };
const key = createPacketKey(vectorKey());
const rings = {
  auto: createKeyRing([vectorKey("auto")]),
  micropython: createKeyRing([vectorKey("micropython")]),
  standard: createKeyRing([vectorKey("standard")]),
};

/** Byte arrays of any class as hex, so that views compare by content. */
const plain = (packet: Packet): unknown =>
  Object.fromEntries(
    Object.entries(packet).map(([name, it]) => [name, it instanceof Uint8Array ? hex(it) : it]),
  );

function readWith(datagram: Uint8Array, ring: KeyRing): unknown {
  const result = decodePacket(datagram, ring);
  return result.ok ? { dialect: result.dialect, packet: plain(result.packet) } : result.reason;
}

describe("properties", () => {
  test("what is written is read, in both dialects and layouts, with the key's own dialect or auto", () => {
    fc.assert(
      fc.property(anyPacket, anyDialect, anyIv, (packet, dialect, iv) => {
        const datagram = encodePacket(packet, key, { dialect, iv });
        const wanted = { dialect, packet: plain(packet) };
        expect(readWith(datagram, rings.auto)).toEqual(wanted);
        expect(readWith(datagram, rings[dialect])).toEqual(wanted);
      }),
      runs(20_000),
    );
  });

  test("an independent reading of the format agrees, both ways", () => {
    fc.assert(
      fc.property(anyPacket, anyIv, (packet, iv) => {
        const datagram = encodePacket(packet, key, { dialect: "micropython", iv });
        const opened = openV1(Buffer.from(datagram), keys, { now: packet.timestamp, from: "test" });
        if ("log" in opened) throw new Error(opened.log.join());
        expect(opened.frame.type).toBe(PACKET_TYPES[packet.type]);
        expect(hex(sealV1(opened.frame, keys))).toBe(hex(datagram));
      }),
      runs(5_000),
    );
  });

  test("random bytes are refused, never thrown at", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (junk) => {
        expect(readWith(junk, rings.auto)).toBe("malformed");
      }),
      runs(50_000, 500),
    );
  });

  test("random bytes behind an honest header are refused for their MAC", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 48, maxLength: 96 }), fc.nat(2), anyIv, (junk, blocks, iv) => {
        const length = 16 * (blocks + 1);
        const body = Buffer.alloc(length + 32, Buffer.from(junk));
        const header = Buffer.alloc(53);
        header.set([0x4e, 0x4d, 1, 1]);
        header.set(iv, 15);
        header.writeUInt16BE(length, 51);
        for (const ring of Object.values(rings))
          expect(readWith(Buffer.concat([header, body]), ring)).toBe("bad-mac");
      }),
      runs(20_000, 200),
    );
  });

  test("cut off or lengthened by a byte or more: malformed, whatever the packet", () => {
    fc.assert(
      fc.property(
        anyPacket,
        anyDialect,
        fc.nat(),
        fc.uint8Array({ minLength: 1, maxLength: 40 }),
        (packet, dialect, cut, more) => {
          const datagram = encodePacket(packet, key, { dialect });
          expect(readWith(datagram.subarray(0, cut % datagram.length), rings.auto)).toBe("malformed");
          expect(readWith(Buffer.concat([datagram, more]), rings.auto)).toBe("malformed");
        },
      ),
      runs(20_000, 200),
    );
  });

  test("no bit can be flipped: the MAC covers every one of them", () => {
    fc.assert(
      fc.property(anyPacket, anyDialect, fc.nat(), (packet, dialect, where) => {
        const datagram = encodePacket(packet, key, { dialect });
        const bit = where % (datagram.length * 8);
        datagram[bit >> 3] = (datagram[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        expect(decodePacket(datagram, rings.auto).ok).toBe(false);
        expect(decodePacket(datagram, rings[dialect]).ok).toBe(false);
      }),
      runs(50_000, 400),
    );
  });

  test("every single bit of one packet of each dialect", () => {
    for (const dialect of ["micropython", "standard"] as const) {
      const packet = {
        type: "HEARTBEAT",
        flags: 0,
        packetId: 1,
        sessionId: 2,
        ttl: 3,
        timestamp: 4,
      } as const;
      const datagram = encodePacket({ ...packet, channelId: channelId("a") }, key, { dialect });
      for (let bit = 0; bit < datagram.length * 8; bit += 1) {
        const flipped = Uint8Array.from(datagram);
        flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        for (const ring of Object.values(rings)) expect(decodePacket(flipped, ring).ok).toBe(false);
      }
    }
  });

  test("an authentic packet with any plaintext is a packet or malformed, and is read as it would be written", () => {
    const frame = fc.record({
      type: fc.integer({ min: 1, max: 8 }),
      plaintext: fc.oneof(
        fc.uint8Array({ maxLength: 60 }),
        // Around the border between the two layouts and what fits neither.
        fc.tuple(fc.integer({ min: 0, max: 24 }), fc.integer({ min: 0, max: 24 })).map(([said, has]) => {
          const plaintext = Buffer.alloc(16 + has);
          plaintext.writeUInt32BE(said, 12);
          return plaintext;
        }),
      ),
      iv: anyIv,
    });
    fc.assert(
      fc.property(frame, ({ type, plaintext, iv }) => {
        const common = {
          flags: 1,
          packetId: 2,
          sessionId: 3,
          ttl: 4,
          timestamp: 5,
          channelId: channelId("a"),
        };
        const datagram = sealV1({ type, plaintext, iv, ...common }, keys);
        const result = decodePacket(datagram, rings.auto);
        if (!result.ok) expect(result.reason).toBe("malformed");
        else if (result.packet.type !== "PUBLISH" || result.packet.layout === 16) {
          expect(hex(encodePacket(result.packet, key, { dialect: "micropython", iv }))).toBe(hex(datagram));
        }
      }),
      runs(20_000, 300),
    );
  });
});

describe("fast crypto gives the bytes of plain node:crypto", () => {
  const step = fc.record({
    what: fc.constantFrom("encrypt", "decrypt", "partial block to encrypt", "partial block to decrypt"),
    blocks: fc.integer({ min: 1, max: 5 }),
    fill: fc.uint8Array({ minLength: 80, maxLength: 80 }),
    iv: anyIv,
  });

  test("in any order on one cipher, also after it failed", () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 12 }), (steps) => {
        const cipher = createBlockCipher(keys.encryption);
        for (const { what, blocks, fill, iv } of steps) {
          const data = fill.subarray(0, 16 * blocks);
          if (what === "partial block to encrypt") {
            expect(() => cipher.encrypt(fill.slice(0, 16 * blocks - 1), iv)).toThrow(RangeError);
          } else if (what === "partial block to decrypt") {
            expect(() => cipher.decrypt(fill.slice(0, 16 * blocks - 1), iv)).toThrow(RangeError);
          } else {
            const native = (what === "encrypt" ? createCipheriv : createDecipheriv)(
              "aes-256-cbc",
              keys.encryption,
              iv,
            );
            const wanted = hex(native.setAutoPadding(false).update(data));
            const ours = what === "encrypt" ? cipher.encrypt(data.slice(), iv) : cipher.decrypt(data, iv);
            expect(hex(ours)).toBe(wanted);
          }
        }
      }),
      runs(5_000, 200),
    );
  });

  test("padding is right exactly where OpenSSL finds it right", () => {
    const iv = new Uint8Array(16);
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 32, maxLength: 32 }),
        fc.nat(18),
        fc.nat(17),
        (padded, count, wrong) => {
          padded.fill(count, 32 - Math.min(count, 32));
          padded[31] = count;
          if (wrong < 16) padded[16 + wrong] = 1;
          const native = createDecipheriv("aes-256-cbc", keys.encryption, iv);
          native.update(createBlockCipher(keys.encryption).encrypt(padded.slice(), iv));
          let length = -1;
          try {
            length = 16 + native.final().length;
          } catch {}
          expect(unpaddedLength(padded)).toBe(length);
        },
      ),
      runs(20_000, 500),
    );
  });

  test("both MACs, for keys and data of any length", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 100 }),
        fc.uint8Array({ maxLength: 300 }),
        fc.nat(),
        (mac, data, cut) => {
          const length = cut % (data.length + 1);
          const covered = data.subarray(0, length);
          expect(hex(createMac(mac, "standard")(data, length))).toBe(
            createHmac("sha256", mac).update(covered).digest("hex"),
          );
          expect(hex(createMac(mac, "micropython")(data, length))).toBe(
            createHash("sha256").update(covered).update(mac).digest("hex"),
          );
        },
      ),
      runs(5_000, 200),
    );
  });
});
