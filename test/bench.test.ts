import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { readPage, root } from "./real/pages.ts";

const main = join(root, "apps/bench/src/main.ts");
const bench = (...names: string[]) =>
  spawnSync(process.execPath, ["--conditions=@nomq/source", main, ...names], { encoding: "utf8" });

const { status, stderr } = bench();
const names = stderr
  .slice(stderr.indexOf(":") + 1)
  .trim()
  .split(", ");

test("without a name the benchmarks say their names, and README.md has each", () => {
  expect(status).toBe(2);
  expect(names.length).toBeGreaterThan(1);
  for (const name of names) expect(readPage("README.md")).toContain(`\`npm run bench ${name}\``);
});

// Whether a target is met is for a quiet machine to say: here only that each runs to its end.
describe.runIf(process.env["NOMQ_LONG"])("benchmarks (npm run test:long)", () => {
  test.each(names)("%s runs and prints its ratio", (name) => {
    const { stdout } = bench(name);
    expect(stdout).toMatch(/\d\.\d\d×/);
    expect(stdout).toMatch(/target/);
  });
});
