import { parse } from "coap-packet";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readUint, uintValue } from "../../src/wire/option-value.ts";
import { encodeTail } from "../../src/wire/tail.ts";

const HEADER = [0x61, 0x45, 0x00, 0x01, 0xaa];
const bytes = (most: number) => fc.uint8Array({ maxLength: most });

describe("RFC 7252 §3.1: what follows the token", () => {
  test.each([
    ["nothing at all", [], undefined, ""],
    ["a payload alone", [], "hi", "ff6869"],
    ["an empty payload has no marker", [], "", ""],
    ["a delta of 12 and a value of no byte", [{ number: 12, value: new Uint8Array() }], undefined, "c0"],
    ["a delta of 13", [{ number: 13, value: Buffer.from("a") }], undefined, "d10061"],
    ["a delta of 268", [{ number: 268, value: new Uint8Array() }], undefined, "d0ff"],
    ["a delta of 269", [{ number: 269, value: new Uint8Array() }], undefined, "e00000"],
    [
      "two options of one number",
      [
        { number: 11, value: Buffer.from("a") },
        { number: 11, value: Buffer.from("b") },
      ],
      "x",
      "b1610162ff78",
    ],
  ])("%s", (_, options, payload, hex) => {
    const tail = encodeTail(options, payload === undefined ? undefined : Buffer.from(payload));
    expect(Buffer.from(tail).toString("hex")).toBe(hex);
  });

  test("coap-packet reads every option and the payload back", () => {
    const options = fc.array(fc.record({ number: fc.integer({ min: 1, max: 2_000 }), value: bytes(300) }), {
      maxLength: 8,
    });
    fc.assert(
      fc.property(options, bytes(64), (given, payload) => {
        const sorted = given.toSorted((a, b) => a.number - b.number);
        const read = parse(Buffer.from([...HEADER, ...encodeTail(sorted, payload)]));
        expect(Buffer.from(read.payload ?? []).equals(payload)).toBe(true);
        expect((read.options ?? []).map(({ value }) => Buffer.from(value).toString("hex"))).toEqual(
          sorted.map(({ value }) => Buffer.from(value).toString("hex")),
        );
      }),
    );
  });

  test("options out of order are a mistake of ours, not a wrong datagram", () => {
    const options = [12, 4].map((number) => ({ number, value: new Uint8Array() }));
    expect(() => encodeTail(options)).toThrow(RangeError);
  });
});

describe("RFC 7252 §3.2: uint", () => {
  test.each([
    [0, ""],
    [1, "01"],
    [255, "ff"],
    [256, "0100"],
    [0xffffff, "ffffff"],
    [2 ** 32 - 1, "ffffffff"],
    [2 ** 53 - 1, "1fffffffffffff"],
  ])("%i is as short as it goes", (uint, hex) => {
    expect(Buffer.from(uintValue(uint)).toString("hex")).toBe(hex);
  });

  test("comes back, with leading zeros too, unless it is longer than its option may be", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 24 - 1 }), fc.nat(3), (uint, zeros) => {
        const value = uintValue(uint);
        expect(readUint(Uint8Array.from([...Buffer.alloc(zeros), ...value]), 6)).toBe(uint);
        expect(readUint(value, value.length)).toBe(uint);
        if (value.length > 0) expect(readUint(value, value.length - 1)).toBeUndefined();
      }),
    );
  });
});
