import { describe, expect, test } from "vitest";
import {
  channelId,
  channelKey,
  createPooledRandom,
  decodeDeviceConfig,
  encodeDeviceConfig,
  isMarked,
  isNoChannelId,
  noChannelId,
  publishFlags,
  randomU32,
  readPublishFlags,
  readSubscribePriority,
  typeName,
  withMark,
} from "../../src/index.ts";
import { bytes } from "../vectors.ts";

describe("flags", () => {
  test("QoS, retain and priority, every value; QoS 3 counts as 0", () => {
    for (let flags = 0; flags < 256; flags += 1) {
      const read = readPublishFlags(flags);
      expect(read.qos).toBe((flags & 3) === 3 ? 0 : flags & 3);
      expect(publishFlags(read)).toBe(flags & ((flags & 3) === 3 ? 0xf4 : 0xf7));
    }
  });

  test("the mark is bit 3, on SUBSCRIBE and UNSUBSCRIBE bit 7, and clashes with nothing", () => {
    for (let number = 1; number <= 8; number += 1) {
      const type = typeName(number) ?? "PUBLISH";
      const bit = type === "SUBSCRIBE" || type === "UNSUBSCRIBE" ? 0x80 : 0x08;
      expect(withMark(type, 0)).toBe(bit);
      expect(isMarked(type, bit)).toBe(true);
      expect(isMarked(type, 0xff ^ bit)).toBe(false);
    }
    expect(readSubscribePriority(withMark("SUBSCRIBE", 9))).toBe(9);
    expect(readPublishFlags(withMark("PUBLISH", 0xf6))).toEqual({ qos: 2, retain: true, priority: 15 });
  });
});

describe("channel ids", () => {
  test("as the key of a map, and none", () => {
    expect(channelKey(bytes("c14cddc033f64b9dea80ea675cf280a0"))).toBe("c14cddc033f64b9dea80ea675cf280a0");
    const within = bytes("ffff00000000000000000000000000000000ff").subarray(2, 18);
    expect(channelKey(within)).toBe("0".repeat(32));
    expect([isNoChannelId(within), isNoChannelId(noChannelId()), isNoChannelId(channelId(""))]).toEqual([
      true,
      true,
      false,
    ]);
  });
});

describe("pooled randomness", () => {
  test("hands out every byte once, wiped behind it, and asks once per 4 KiB", () => {
    const pools: Uint8Array[] = [];
    const random = createPooledRandom((pool) => {
      pools.push(pool);
      pool.fill(pools.length);
    });
    const drawn = Array.from({ length: 257 }, () => {
      const iv = new Uint8Array(16);
      random(iv);
      return iv[15];
    });
    expect(drawn.filter((byte) => byte === 1).length).toBe(256);
    expect([pools.length, drawn.at(-1)]).toEqual([2, 2]);
    expect(pools[0]?.subarray(0, 16).every((byte) => byte === 0)).toBe(true);
    const large = new Uint8Array(5_000);
    random(large);
    expect(large.every((byte) => byte === 3)).toBe(true);
  });

  test("32-bit words use all bits", () => {
    expect(randomU32((target) => void target.fill(0xff))).toBe(0xffff_ffff);
    expect(new Set(Array.from({ length: 100 }, () => randomU32())).size).toBe(100);
  });
});

describe("configuration files that are none", () => {
  test.each([
    ["no base64", "%%%%"],
    ["URL-safe alphabet", "oKGio6SlpqeoqaqrrK2ur5zLX94qk1gZ79jX-j221yO6xXNi-DuQHR4SXXGcpvVh"],
    ["the IV alone", Buffer.alloc(16).toString("base64")],
    ["a partial block", Buffer.alloc(40).toString("base64")],
    ["bytes under another key", Buffer.alloc(48, 5).toString("base64")],
    ["empty", ""],
  ])("%s", (_, file) => {
    expect(decodeDeviceConfig(file)).toMatchObject({ ok: false });
  });

  test.each([{ port: 65_536 }, { port: 1.5 }, { encryptionKey: "00" }, { hmacKey: "zz".repeat(32) }])(
    "a value out of range is named: %o",
    (config) => {
      const result = decodeDeviceConfig(encodeDeviceConfig(config));
      expect(result).toMatchObject({
        ok: false,
        detail: expect.stringMatching(/^(port|encryption_key|hmac_key) is not/),
      });
    },
  );

  test("keys of either case are kept as they are; the IV is fresh each time", () => {
    const config = { encryptionKey: "aB".repeat(32) };
    expect(decodeDeviceConfig(encodeDeviceConfig(config))).toEqual({ ok: true, config });
    expect(encodeDeviceConfig(config)).not.toBe(encodeDeviceConfig(config));
  });
});
