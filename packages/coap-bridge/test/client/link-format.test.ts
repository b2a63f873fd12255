import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseLinks } from "../../src/client/link-format.ts";
import { sensorLines } from "../../src/client/sensor-lines.ts";

const read = (text: string): unknown =>
  parseLinks(text).map(({ href, attributes }) => [href, Object.fromEntries(attributes)]);

describe("CoRE Link Format (RFC 6690)", () => {
  test("TD_COAP_LINK_01: links with quoted, plain and bare attributes; of a name that repeats the first counts", () => {
    expect(
      read(
        '</t>;rt="temperature-c other";if=sensor;obs , </a%20b>;title="say \\"a, b; c\\"";sz=12;sz=13,<rel>',
      ),
    ).toEqual([
      ["/t", { rt: "temperature-c other", if: "sensor", obs: "" }],
      ["/a%20b", { title: 'say "a, b; c"', sz: "12" }],
      ["rel", {}],
    ]);
  });

  test("a list that ends in the middle gives what came before; no list gives nothing", () => {
    expect(read('</a>;rt="x",</b>;rt="cut')).toEqual([
      ["/a", { rt: "x" }],
      ["/b", { rt: "" }],
    ]);
    expect(read("<html>")).toEqual([["html", {}]]);
    expect(read("")).toEqual([]);
  });

  test("any text is read without an error, and at most 1,000 links of it", () => {
    const hostile = fc.string({ unit: fc.constantFrom("<", ">", ";", ",", "=", '"', "\\", "a", " ", "\n") });
    fc.assert(
      fc.property(hostile, (text) => {
        expect(parseLinks(text).length).toBeLessThanOrEqual(text.length);
      }),
      { seed: 9, numRuns: process.env["NOMQ_LONG"] ? 100_000 : 1_000 },
    );
    expect(parseLinks("</a>,".repeat(5_000))).toHaveLength(1_000);
    expect(parseLinks(`</a>;${'x="'.repeat(100_000)}`)).toHaveLength(1);
  });
});

test("what a device says of itself ends no line and drives no terminal", () => {
  const attributes = { title: "a\n  - { evil: 1 }\u001b[2J\u2028b", rt: "" };
  const lines = sensorLines([{ url: "coap://h/t", channel: "sensors/h/t", observable: true, attributes }]);
  expect(lines.split("\n")).toHaveLength(4);
  expect(lines).toMatch(
    /^coap:\n {2}observe:\n {4}- \{ url: "coap:\/\/h\/t", channel: "sensors\/h\/t" \} {3}# /,
  );
  expect(lines).not.toMatch(/[^\n -~]/);
});
