import { MAPPING_PROPERTIES } from "@nomq/core";
import { describe, expect, test } from "vitest";
import { MAPPINGS } from "../packages/gateway/src/mapping.ts";
import { nomq } from "../packages/gateway/test/launch.ts";
import { mappingPage, REWRITE, SHOWN_QUESTIONS } from "./mapping/page.ts";

describe("docs/mapping.md", () => {
  test(`is what the tables say; ${REWRITE} writes it anew`, async () => {
    await expect(mappingPage()).toMatchFileSnapshot("../docs/mapping.md");
  });

  test.each(SHOWN_QUESTIONS)("shows what nomq explain %s %s prints", async (from, to) => {
    const { code, stdout } = await nomq(["explain", from, to]).ended;
    expect(code).toBe(0);
    expect(mappingPage()).toContain(`$ nomq explain ${from} ${to}\n${stdout}`);
  });
});

describe("the tables", () => {
  const cells = MAPPINGS.flatMap((mapping) =>
    MAPPING_PROPERTIES.flatMap((property) =>
      mapping.variants.flatMap(({ id }) => [mapping.rows[property].from[id], mapping.rows[property].to[id]]),
    ),
  );

  test("have a cell for every property, both ways and every variant, that says how", () => {
    expect(cells).toHaveLength(MAPPINGS.length * MAPPING_PROPERTIES.length * 2 * 2);
    for (const cell of cells) expect(cell?.how).toMatch(/\S/);
  });

  test("have no code where a property is lost", () => {
    for (const cell of cells) if (cell?.is === "lost") expect(cell).not.toHaveProperty("convert");
  });
});
