import { execFile } from "node:child_process";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { readPage, root } from "./real/pages.ts";

const main = join(root, "apps/bench/src/main.ts");

interface Ended {
  readonly status: unknown;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs one. This process stays responsive meanwhile, so that a test that hangs is named. */
const bench = (...given: readonly string[]): Promise<Ended> =>
  new Promise((resolve) => {
    execFile(process.execPath, ["--conditions=@nomq/source", main, ...given], (error, stdout, stderr) =>
      resolve({ status: error?.code ?? 0, stdout, stderr }),
    );
  });

const { status, stderr } = await bench();
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
  test.each(names)("%s runs and prints its ratio", async (name) => {
    const { stdout } = await bench(name);
    expect(stdout).toMatch(/\d\.\d\d×/);
    expect(stdout).toMatch(/target/);
  });
});
