import { describe, expect, test } from "vitest";
import { readPage } from "./real/pages.ts";

/** What the page cites as evidence: a test file and, in quotes, names in it. */
const cited = readPage("docs/security.md")
  .split("\n")
  .flatMap((line) =>
    [...line.matchAll(/`((?:packages|test)\/[\w./-]+\.test\.ts)`((?:,? "[^"]+")*)/g)].map(
      ([, file = "", names = ""]) => ({
        file,
        names: [...names.matchAll(/"([^"]+)"/g)].map(([, name = ""]) => name),
      }),
    ),
  );

describe("docs/security.md", () => {
  test("cites tests", () => expect(cited.length).toBeGreaterThan(30));

  test.each(cited)("$file has what is cited: $names", ({ file, names }) => {
    const source = readPage(file);
    expect(names.filter((name) => !source.includes(name))).toEqual([]);
  });
});
