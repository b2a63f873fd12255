import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { attributeOf, type Link, linkText, parseLinks } from "../../src/wire/link-format.ts";

const read = (text: string): unknown =>
  parseLinks(text).map((link) => [
    link.href,
    Object.fromEntries(link.attributes.map(([name]) => [name, attributeOf(link, name)])),
  ]);

const name = fc.stringMatching(/^[a-z][a-z0-9*-]{0,8}$/);
const attribute = fc.oneof(fc.tuple(name), fc.tuple(name, fc.string({ unit: "binary" })));
const links: fc.Arbitrary<Link[]> = fc.array(
  fc.record({ href: fc.webPath(), attributes: fc.array(attribute, { maxLength: 5 }) }),
  { maxLength: 5 },
);

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

  test("what is written is read back", () => {
    fc.assert(
      fc.property(links, (written) => {
        expect(parseLinks(written.map(linkText).join(","))).toEqual(written);
      }),
      { seed: 9, numRuns: process.env["NOMQ_LONG"] ? 100_000 : 1_000 },
    );
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
