import { decode as decodeCbor, encode as encodeCbor } from "cborg";
import { fromBinary } from "coap/dist/lib/option_converter.js";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { convert } from "../../src/resources/conversion.ts";
import { ContentFormat, contentFormatOf, contentTypeOf } from "../../src/wire/content-format.ts";
import { uintValue } from "../../src/wire/option-value.ts";

const { text, octets, json, cbor } = ContentFormat;
const NO_TYPE = undefined;

describe("Content-Format and media type", () => {
  test.each([
    [0, "text/plain;charset=utf-8"],
    [40, "application/link-format"],
    [42, "application/octet-stream"],
    [50, "application/json"],
    [60, "application/cbor"],
    [110, "application/senml+json"],
    [112, "application/senml+cbor"],
    [11_542, "application/vnd.oma.lwm2m+tlv"],
    [9_999, "coap/9999"],
    [64_999, "coap/64999"],
  ])("%i is %s, both ways", (format, contentType) => {
    expect(contentTypeOf(format)).toBe(contentType);
    expect(contentFormatOf(contentType)).toBe(format);
  });

  test.each([
    ["text/plain", 0],
    ["Text/Plain; Charset=UTF-8", 0],
    ['text/plain;charset="utf-8"', 0],
    [" application/json ; charset=utf-8", 50],
    ["text/xml", 41],
  ])("%s is another spelling of %i", (contentType, format) => {
    expect(contentFormatOf(contentType)).toBe(format);
  });

  test.each([
    "",
    "application/x-own",
    "text/plain;charset=utf-16",
    "coap/",
    "coap/00",
    "coap/050",
    "coap/50",
    "coap/65000",
    "coap/65536",
    "coap/1e3",
    "coap/-1",
    "coap/10001",
    `text/plain${" ".repeat(128)}`,
  ])("%j has no number: what has one goes by its name, what is unsupported is not sent", (contentType) => {
    expect(contentFormatOf(contentType)).toBeUndefined();
  });

  test("every number comes back from its media type, unless it is unsupported", () => {
    for (let format = 0; format <= 65_535; format += 1) {
      const contentType = contentTypeOf(format);
      const isUnsupported = format >= 65_000 || format === 10_001;
      expect(contentType === undefined).toBe(isUnsupported);
      if (contentType !== undefined && contentFormatOf(contentType) !== format) expect.fail(`${format}`);
    }
  });

  test("node-coap's registry says the same, as far as it knows", () => {
    let known = 0;
    for (let format = 0; format < 65_000; format += 1) {
      const theirs: unknown = fromBinary("Content-Format", Buffer.from(uintValue(format)));
      const ours = contentTypeOf(format);
      if (typeof theirs !== "string" || ours === undefined || ours.startsWith("coap/")) continue;
      known += 1;
      expect(contentFormatOf(theirs), theirs).toBe(format);
    }
    expect(known).toBeGreaterThan(30);
  });
});

const said = (value: string | Uint8Array): Uint8Array =>
  typeof value === "string" ? Buffer.from(value) : value;
const hex = (value: Uint8Array | undefined): string | undefined =>
  value === undefined ? undefined : Buffer.from(value).toString("hex");

describe("conversion", () => {
  test.each([
    ["text that is JSON to JSON", text, json, "21.50", "21.50"],
    ["JSON to text, its spaces too", json, text, '{ "a": 1 }', '{ "a": 1 }'],
    ["bytes without a type to text", NO_TYPE, text, "é", "é"],
    ["bytes without a type to octets", NO_TYPE, octets, "x", "x"],
    ["bytes without a type to JSON", NO_TYPE, json, "[1]", "[1]"],
    ["text to CBOR", text, cbor, "é", Buffer.from("62c3a9", "hex")],
    ["a CBOR text string to text", cbor, text, Buffer.from("62c3a9", "hex"), "é"],
    [
      "JSON to CBOR, members in their order",
      json,
      cbor,
      '{"b":1,"a":[null,-2.5]}',
      Buffer.from("a261620161618" + "2f6f9c100", "hex"),
    ],
    ["CBOR to JSON", cbor, json, Buffer.from("a26162016161f5", "hex"), '{"b":1,"a":true}'],
    [
      "numbers as a double holds them",
      json,
      cbor,
      "[0.1,1e3,-0.5e-1,100000000000000000000]",
      encodeCbor([0.1, 1000, -0.05, 1e20]),
    ],
  ])("%s", (_, from, to, payload, expected) => {
    expect(hex(convert(said(payload), { from, to }))).toBe(hex(said(expected)));
  });

  test.each([
    ["text that is no JSON to JSON", text, json, "21,5"],
    ["bytes that are no UTF-8 to text", NO_TYPE, text, Buffer.from([0xff])],
    ["octets to anything: they have a type, and it is not text", octets, text, "a"],
    ["a number of more digits than a double has", json, cbor, "0.10000000000000000001"],
    ["an integer beyond 2^53", json, cbor, "12345678901234567890"],
    ["a number beyond every double", json, cbor, "1e400"],
    ["a zero with a sign", json, cbor, "[-0]"],
    ["a member twice", json, cbor, '{"a":1,"a":2}'],
    ["half a surrogate pair", json, cbor, '"\\ud800"'],
    ["not JSON at all", json, cbor, "{a:1}"],
    ["a byte string", cbor, json, Buffer.from("4101", "hex")],
    ["a key that is no text", cbor, json, Buffer.from("a10102", "hex")],
    ["a text that is no UTF-8", cbor, json, Buffer.from("61ff", "hex")],
    ["a text that is no UTF-8 to text", cbor, text, Buffer.from("61ff", "hex")],
    ["nothing, which is no JSON", json, text, ""],
    ["a tag", cbor, json, Buffer.from("c074323032362d31312d32315432303a30303a30305a", "hex")],
    ["undefined", cbor, json, Buffer.from("f7", "hex")],
    ["not a number", cbor, json, Buffer.from("f97e00", "hex")],
    ["infinity", cbor, json, Buffer.from("f97c00", "hex")],
    ["an integer beyond 2^53", cbor, json, Buffer.from("1bffffffffffffffff", "hex")],
    ["something after the value", cbor, json, Buffer.from("0101", "hex")],
    ["a value that is cut", cbor, json, Buffer.from("8201", "hex")],
    ["a number to text", cbor, text, Buffer.from("01", "hex")],
    ["thousands of arrays in one another", json, cbor, `${"[".repeat(4_000)}${"]".repeat(4_000)}`],
    ["the same in CBOR", cbor, json, Buffer.concat([Buffer.alloc(8_000, 0x81), Buffer.of(1)])],
    ["XML", 41, text, "<a/>"],
    ["more than 8 KiB", text, json, `"${"x".repeat(8_192)}"`],
  ])("never: %s", (_, from, to, payload) => {
    expect(convert(said(payload), { from, to })).toBeUndefined();
  });

  test("a key called __proto__ is a key", () => {
    const made = convert(Buffer.from('{"__proto__":{"a":1}}'), { from: json, to: cbor });
    expect(hex(made)).toBe(hex(encodeCbor(new Map([["__proto__", new Map([["a", 1]])]]))));
    expect(convert(made ?? new Uint8Array(), { from: cbor, to: json })).toEqual(
      new Uint8Array(Buffer.from('{"__proto__":{"a":1}}')),
    );
  });

  const isPlain = (value: unknown): boolean =>
    !JSON.stringify(value, (_, one) => (Object.is(one, -0) ? "-0" : one)).includes('"-0"');

  test("what is converted comes back as the same value", () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 4 }).filter(isPlain), (value) => {
        const source = Buffer.from(JSON.stringify(value));
        const there = convert(source, { from: json, to: cbor });
        // Half surrogates are no text.
        fc.pre(there !== undefined);
        expect(decodeCbor(there, { useMaps: false })).toEqual(value);
        const back = convert(there, { from: cbor, to: json });
        expect(JSON.parse(Buffer.from(back ?? []).toString())).toEqual(value);
      }),
    );
  });

  test("whatever bytes come: a conversion, or none, and nothing else happens", () => {
    const formats = fc.constantFrom(text, octets, json, cbor, 41, NO_TYPE);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), formats, formats, (payload, from, to) => {
        fc.pre(to !== undefined && from !== to);
        const there = convert(payload, { from, to });
        if (there === undefined || from === undefined) return;
        const back = convert(there, { from: to, to: from });
        expect(back).toBeDefined();
        // JSON and CBOR can be written in more than one way.
        if (from === text) expect(hex(back)).toBe(hex(payload));
        expect(hex(convert(back ?? payload, { from, to }))).toBe(hex(there));
      }),
      { numRuns: process.env["NOMQ_LONG"] ? 100_000 : 2_000 },
    );
  });
});
