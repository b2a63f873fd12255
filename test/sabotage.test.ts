import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { ROOT, sabotaged } from "./sabotage/checkout.ts";
import { SABOTAGES } from "./sabotage/sabotages.ts";
import { folderOf } from "./sabotage/suites.ts";

describe("npm run sabotage", () => {
  test.each(SABOTAGES)("$name still finds what it breaks, and suites to notice", (sabotage) => {
    const text = readFileSync(join(ROOT, sabotage.file), "utf8");
    expect(sabotaged(text, sabotage)).not.toBe(text);
    const files = sabotage.suites.flatMap((suite) => suite.files.map((file) => join(folderOf(suite), file)));
    expect(files.length).toBeGreaterThan(0);
    expect(files.filter((file) => !existsSync(join(ROOT, file)))).toEqual([]);
  });

  test("names say which is which", () => {
    const names = SABOTAGES.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    expect(names.length).toBeGreaterThanOrEqual(10);
  });

  test("a text that is missing or stands twice is stale", () => {
    const sabotage = { file: "a.ts", find: "x", replace: "y" };
    expect(sabotaged("axb", sabotage)).toBe("ayb");
    expect(() => sabotaged("ab", sabotage)).toThrow("stale");
    expect(() => sabotaged("axbx", sabotage)).toThrow("2 times");
  });
});
