import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { element } from "../../src/stream/build.ts";
import { createTagScan } from "../../src/stream/tag-scan.ts";
import { parsed } from "../parsed.ts";

const runs = process.env["NOMQ_LONG"] ? 50_000 : 500;

/** What of a text goes on to the parser, however it is cut. */
function read(text: string, places: readonly number[] = []): readonly unknown[] {
  const scan = createTagScan(0, { stanza: 1_000_000 });
  const at = [0, ...places.map((place) => place % (text.length + 1)).toSorted((a, b) => a - b), text.length];
  let ready = "";
  try {
    for (const [index, from] of at.slice(0, -1).entries())
      ready += scan.scan(text.slice(from, at[index + 1])).ready;
  } catch (error) {
    return [String(error)];
  }
  return [ready, scan.level, scan.isInside];
}

const pieces = fc.constantFrom(
  ...[
    "<",
    ">",
    "/",
    "</",
    "/>",
    "<a",
    "<a>",
    "</a>",
    "<a:b c='",
    "'",
    '"',
    " x=",
    "=",
    " ",
    "\n",
    "&lt;",
    "]]>",
  ],
  ...["<![CDATA[", "<!--", "-->", "<?xml version='1.0'?>", "<!DOCTYPE a>", "é", "x", "]", "!", "?"],
);
const anyPlaces = fc.array(fc.nat(1_000), { maxLength: 8 });
// Made before the tests: fast-check computes a table of all characters first, a second that no test's limit is for.
const anyText = fc
  .string({ unit: "binary", maxLength: 20 })
  .filter((text) => text.isWellFormed() && !/[\p{Cc}\ufffe\uffff]/u.test(text));

describe("the scan of tags", () => {
  test("what is read is the same wherever a chunk ends", () => {
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 30 }), anyPlaces, (parts, places) => {
        const text = parts.join("");
        expect(read(text, places)).toEqual(read(text));
      }),
      { numRuns: runs },
    );
  });

  test("every element that can be written is read to its end", () => {
    const anyName = fc.stringMatching(/^[a-zA-Z_][a-zA-Z0-9._-]{0,8}$/);
    const { tree } = fc.letrec<{ tree: ReturnType<typeof element> }>((tie) => ({
      tree: fc
        .record({
          name: anyName,
          attributes: fc.dictionary(anyName, anyText, { maxKeys: 3 }),
          children: fc.array(fc.oneof({ maxDepth: 3 }, anyText, tie("tree")), { maxLength: 3 }),
        })
        .map(({ name, attributes, children }) => element(name, attributes, children)),
    }));
    fc.assert(
      fc.property(tree, anyPlaces, (made, places) => {
        const text = String(made);
        expect(read(text, places)).toEqual([text, 0, false]);
      }),
      { numRuns: runs },
    );
  });

  const note = (inside: string): string =>
    `<message><event><items><item id='1'>${inside}</item><item id='2'><json>1</json></item></items></event></message>`;
  const wide = `<a ${Array.from({ length: 2_000 }, (_, at) => `b${at}=''`).join(" ")}/>`;

  test.each([
    ["deep", `<a>${"<b>".repeat(200)}${"</b>".repeat(200)}</a>`, /<b><left-out /],
    ["wide", `<a>${wide}</a>`, /^<message><event><items><item id='1'><a><left-out [^>]*><\/a><\/item>/],
    ["wide itself", wide, /<item id='1'><left-out [^>]*><\/item>/],
    ["of many parts", `<a>${"<b/>".repeat(40_000)}</a>`, /<b\/><left-out [^>]*><\/a><\/item>/],
    ["long, as text", `<a>${"x".repeat(200_000)}</a>`, /<item id='1'>(<a>)?.*<left-out /],
    ["long, as a value", `<a b='${"x".repeat(200_000)}'/>`, /<item id='1'><left-out /],
    [
      "long, as a section",
      `<a><![CDATA[${"<b>".repeat(60_000)}]]><b/></a>`,
      /<item id='1'>(<a>)?.*<left-out /,
    ],
    ["long, as a tag's name", `<${"a".repeat(200_000)}></${"a".repeat(200_000)}>`, /<item id='1'><left-out /],
  ])(
    "an item that is %s loses that, however it is cut, and the next item nothing",
    (_what, payload, left) => {
      const text = note(payload);
      fc.assert(
        fc.property(fc.array(fc.nat(text.length), { maxLength: 30 }), (places) => {
          const [ready, ...rest] = read(text, places);
          expect(ready).toMatch(left);
          expect(ready).toMatch(/<item id='2'><json>1<\/json><\/item><\/items><\/event><\/message>$/);
          expect(rest).toEqual([0, false]);
          expect(() => parsed(String(ready))).not.toThrow();
        }),
        { numRuns: process.env["NOMQ_LONG"] ? 500 : 10 },
      );
    },
  );

  test("what is left out of a stanza has an end, too", () => {
    const scan = createTagScan(0, { stanza: 10_000 });
    scan.scan("<message><event><items><item><a>");
    const endless = (): void => {
      for (let count = 0; count < 100; count += 1) scan.scan("x".repeat(1_000));
    };
    expect(endless).toThrow(/more than 10000 characters/);
  });
});
