import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { element } from "../../src/stream/build.ts";
import { createTagScan } from "../../src/stream/tag-scan.ts";

const runs = process.env["NOMQ_LONG"] ? 50_000 : 500;

/** Where tags end in a text, however it is cut. */
function cuts(text: string, places: readonly number[] = []): readonly number[] | string {
  const scan = createTagScan(0);
  const at = [0, ...places.map((place) => place % (text.length + 1)).toSorted((a, b) => a - b), text.length];
  const found: number[] = [];
  try {
    for (const [index, from] of at.slice(0, -1).entries()) {
      const { cut } = scan.scan(text.slice(from, at[index + 1]));
      if (cut > 0) found.push(from + cut);
    }
  } catch (error) {
    return String(error);
  }
  return [found.at(-1) ?? 0, scan.level, scan.isInside ? 1 : 0];
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

describe("the scan of tags", () => {
  test("what is read is the same wherever a chunk ends", () => {
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 30 }), anyPlaces, (parts, places) => {
        const text = parts.join("");
        expect(cuts(text, places)).toEqual(cuts(text));
      }),
      { numRuns: runs },
    );
  });

  test("every element that can be written is read to its end", () => {
    const anyName = fc.stringMatching(/^[a-zA-Z_][a-zA-Z0-9._-]{0,8}$/);
    const anyText = fc
      .string({ unit: "binary", maxLength: 20 })
      .filter((text) => text.isWellFormed() && !/[\p{Cc}\ufffe\uffff]/u.test(text));
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
        expect(cuts(text, places)).toEqual([text.length, 0, 0]);
      }),
      { numRuns: runs },
    );
  });

  test("stanzas end on the level below the stream, and each begins to count anew", () => {
    const scan = createTagScan(1);
    expect(scan.scan("<stream:stream><message>")).toMatchObject({ ended: undefined });
    expect(scan.scan("<body/>")).toMatchObject({ ended: undefined });
    expect(scan.scan("</message><iq")).toMatchObject({ cut: 10, ended: 10 });
    expect(scan.scan("/></stream:stream>")).toMatchObject({ ended: 18 });
    expect(scan.level).toBe(0);
  });
});
