import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type BlockOption,
  decodeBlock,
  encodeBlock,
  LARGEST_NUM,
  offsetOf,
  sizeOfSzx,
} from "../../src/wire/block-option.ts";

const rows: readonly (readonly [string, BlockOption, string])[] = [
  ["nothing at all is block 0 of 16 bytes", { num: 0, more: false, szx: 0 }, ""],
  ["block 0, more, 1,024 bytes", { num: 0, more: true, szx: 6 }, "0e"],
  ["the last number of one byte", { num: 15, more: false, szx: 2 }, "f2"],
  ["the first number of two bytes", { num: 16, more: true, szx: 2 }, "010a"],
  ["the first number of three bytes", { num: 4096, more: false, szx: 6 }, "010006"],
  ["the largest number", { num: 1_048_575, more: true, szx: 6 }, "fffffe"],
];

describe("RFC 7959 §2.2: the value of Block1 and Block2", () => {
  test.each(rows)("%s", (_, block, hex) => {
    expect(Buffer.from(encodeBlock(block)).toString("hex")).toBe(hex);
    expect(decodeBlock(Buffer.from(hex, "hex"))).toEqual(block);
  });

  test("what is encoded is decoded, as short as it goes", () => {
    const blocks = fc.record({
      num: fc.integer({ min: 0, max: LARGEST_NUM }),
      more: fc.boolean(),
      szx: fc.integer({ min: 0, max: 7 }),
    });
    fc.assert(
      fc.property(blocks, (block) => {
        const value = encodeBlock(block);
        expect(decodeBlock(value)).toEqual(block);
        expect(value[0]).not.toBe(0);
        expect(value.length).toBeLessThanOrEqual(3);
      }),
    );
  });

  test("leading zeros are allowed, a fourth byte is not (RFC 7252 §3.2 and §5.4.3)", () => {
    expect(decodeBlock(Uint8Array.of(0, 0, 0x16))).toEqual({ num: 1, more: false, szx: 6 });
    expect(decodeBlock(Uint8Array.of(0, 0, 0, 0x16))).toBeUndefined();
  });

  test("the largest number at the largest size begins just below 1 GiB", () => {
    expect(offsetOf({ num: LARGEST_NUM, more: false, szx: 6 }) + sizeOfSzx(6)).toBe(2 ** 30);
  });
});
