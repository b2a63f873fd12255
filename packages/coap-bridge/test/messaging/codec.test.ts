import { generate, parse } from "coap-packet";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type CoapMessage, MessageType } from "../../src/wire/coap-message.ts";
import { decodeMessage } from "../../src/wire/decode.ts";
import { encodeEmpty, encodeMessage } from "../../src/wire/encode.ts";
import { checkOptions } from "../../src/wire/option-rules.ts";
import { encodeTail } from "../../src/wire/tail.ts";
import { bytes, codeByte, hex } from "./lab.ts";

const runs = process.env["NOMQ_LONG"] ? 20_000 : 500;

const value = fc.oneof(
  fc.uint8Array({ maxLength: 14 }),
  fc.uint8Array({ minLength: 12, maxLength: 14 }),
  fc.uint8Array({ minLength: 268, maxLength: 271 }),
);
const options = fc
  .array(fc.record({ number: fc.oneof(fc.nat(30), fc.nat(400), fc.nat(65_535)), value }), { maxLength: 6 })
  .map((all) => all.toSorted((one, other) => one.number - other.number));
const message = fc.record({
  type: fc.constantFrom(...Object.values(MessageType)),
  // coap-packet takes 0.01 where the code is empty.
  code: fc.constantFrom(1, 2, 3, 4, 5, 6, 7, 0x41, 0x44, 0x45, 0x5f, 0x80, 0x84, 0x8d, 0xa0, 0xa5),
  messageId: fc.nat(65_535),
  token: fc.uint8Array({ maxLength: 8 }),
  options,
  payload: fc
    .uint8Array({ maxLength: 40 })
    .filter((payload) => Buffer.from(payload).toString() !== "" || payload.length === 0),
});

/** The same bytes by node-coap's codec. */
function generated({ type, code, messageId, token, options: all, payload }: CoapMessage): Buffer {
  return generate(
    {
      code: `${code >> 5}.${String(code & 31).padStart(2, "0")}`,
      confirmable: type === MessageType.confirmable,
      ack: type === MessageType.acknowledgement,
      reset: type === MessageType.reset,
      messageId,
      token: Buffer.from(token),
      options: all.map((each) => ({ name: String(each.number), value: Buffer.from(each.value) })),
      payload: Buffer.from(payload),
    },
    65_535,
  );
}

const plain = (one: CoapMessage): object => ({
  ...one,
  token: hex(one.token),
  payload: hex(one.payload),
  options: one.options.map((each) => [each.number, hex(each.value)]),
});

describe("RFC 7252 §3: the codec", () => {
  test("decodes what coap-packet encodes", () => {
    fc.assert(
      fc.property(message, (one) => {
        const decoded = decodeMessage(generated(one));
        expect(decoded && plain(decoded)).toEqual(plain(one));
      }),
      { numRuns: runs },
    );
  });

  test("encodes the bytes that coap-packet encodes", () => {
    fc.assert(
      fc.property(message, (one) => {
        expect(hex(encodeMessage(one, encodeTail(one.options, one.payload)))).toBe(hex(generated(one)));
      }),
      { numRuns: runs },
    );
  });

  test("takes random bytes only for what they say, and what it takes means the same to coap-packet", () => {
    const almost = fc
      .tuple(fc.uint8Array({ minLength: 4, maxLength: 60 }), fc.nat(8))
      .map(([random, tokenLength]) => Uint8Array.of(0x40 | tokenLength, 0x01, ...random.subarray(2)));
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 60 }), almost), (random) => {
        const decoded = decodeMessage(random);
        if (decoded === undefined) return;
        const theirs = parse(Buffer.from(random));
        expect(decoded.code).toBe(codeByte(theirs));
        expect(hex(decoded.token)).toBe(hex(theirs.token));
        expect(hex(decoded.payload)).toBe(hex(theirs.payload));
        expect(decoded.options.map((each) => hex(each.value))).toEqual(
          theirs.options.map((each) => hex(each.value)),
        );
        // Nothing was left over or made up: it encodes back to as much, and to the same meaning.
        const again = decodeMessage(encodeMessage(decoded, encodeTail(decoded.options, decoded.payload)));
        expect(again && plain(again)).toEqual(plain(decoded));
      }),
      { numRuns: runs * 2 },
    );
  });

  test.each([
    ["nothing", ""],
    ["three bytes", "400112"],
    ["version 0", "00011234"],
    ["version 2", "80011234"],
    ["version 3", "c0011234"],
    ["a token of 9 bytes", "49011234 010203040506070809"],
    ["the extended token of 13 (RFC 8974 §2.1)", `4d011234 00 ${"aa".repeat(13)}`],
    ["the extended token of 14 (RFC 8974 §2.1)", `4e011234 0000 ${"aa".repeat(269)}`],
    ["the reserved token length 15", `4f011234 ${"aa".repeat(15)}`],
    ["a token cut off", "44011234 010203"],
    ["an option cut off", "40011234 b4616263"],
    ["an option without its extended delta", "40011234 d0"],
    ["an option with half of its extended delta", "40011234 e001"],
    ["an option without its extended length", "40011234 bd"],
    ["an option with half of its extended length", "40011234 be01"],
    ["the reserved delta 15", "40011234 f100"],
    ["the reserved length 15", "40011234 1f00"],
    ["an option number beyond 65535", "40011234 e0fff0 e0fff0"],
    ["a marker without payload", "40011234 ff"],
    ["a marker without payload after an option", "40011234 b161 ff"],
    ["an empty message with a token", "41001234 aa"],
    ["an empty message with payload", "40001234 ff61"],
  ])("refuses %s", (_what, datagram) => {
    expect(decodeMessage(bytes(datagram))).toBeUndefined();
  });

  test("takes the longest token, and an empty message", () => {
    const longest = decodeMessage(bytes("48011234 0102030405060708"));
    expect(longest && hex(longest.token)).toBe("0102030405060708");
    expect(decodeMessage(encodeEmpty(MessageType.reset, 0x1234))).toMatchObject({
      code: 0,
      messageId: 0x1234,
    });
    expect(hex(encodeEmpty(MessageType.reset, 0x1234))).toBe("70001234");
  });
});

describe("RFC 7252 §5.4: options of a message", () => {
  const check = (...all: ReadonlyArray<readonly [number, string]>): unknown => {
    const checked = checkOptions(all.map(([number, hexes]) => ({ number, value: bytes(hexes) })));
    return checked.is === "fine" ? checked.options.map(({ number }) => number) : `refused ${checked.number}`;
  };

  test("§5.4.1: unknown elective ones are left out, unknown critical ones refuse the message", () => {
    expect(check([11, "61"], [2048, "00"], [2050, ""])).toEqual([11]);
    expect(check([11, "61"], [2049, "00"])).toBe("refused 2049");
    expect(check([9, ""])).toBe("refused 9");
  });

  test("§5.4.3: a value outside its bounds is an unknown option", () => {
    expect(check([12, "000000"])).toEqual([]);
    expect(check([14, "0000000001"])).toEqual([]);
    expect(check([6, "00000000"])).toEqual([]);
    expect(check([4, ""])).toEqual([]);
    expect(check([17, "000000"])).toBe("refused 17");
    expect(check([1, "010203040506070809"])).toBe("refused 1");
    expect(check([5, "00"])).toBe("refused 5");
    expect(check([23, "00000000"])).toBe("refused 23");
    expect(check([3, ""])).toBe("refused 3");
    expect(check([11, "61".repeat(256)])).toBe("refused 11");
  });

  test("§5.4.5: a repeated one that must not be is unknown the second time", () => {
    expect(check([12, "32"], [12, "00"])).toEqual([12]);
    expect(check([17, "32"], [17, "32"])).toBe("refused 17");
    expect(check([7, ""], [7, ""])).toBe("refused 7");
    expect(check([27, "06"], [27, "06"])).toBe("refused 27");
    expect(check([4, "01"], [4, "02"], [11, "61"], [11, ""], [15, "61"], [15, "62"])).toEqual([
      4, 4, 11, 11, 15, 15,
    ]);
  });
});
