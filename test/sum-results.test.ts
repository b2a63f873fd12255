import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { root } from "./real/pages.ts";

/** As vitest's JSON reporter writes it, as far as the sum reads it. */
const reportOf = (testResults: readonly { status: string; assertionResults: { status: string }[] }[]) => {
  const tests = testResults.flatMap((file) => file.assertionResults);
  const count = (status: string): number => tests.filter((one) => one.status === status).length;
  return {
    numPassedTests: count("passed"),
    numFailedTests: count("failed"),
    numPendingTests: count("pending"),
    numTodoTests: 0,
    testResults,
  };
};
const passed = { status: "passed", fullName: "holds", failureMessages: [] };
const failing = {
  status: "failed",
  fullName: "kept order",
  failureMessages: ["Error: 2 before 1\n at here"],
};
const file = (name: string, status: string, assertionResults: { status: string }[], message = "") => ({
  name: join(root, name),
  status,
  assertionResults,
  message,
});

describe("the sum of a run's reports", () => {
  let folder = "";
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "nomq-sum-"));
  });
  afterEach(() => rmSync(folder, { recursive: true }));
  const sum = (reports: Readonly<Record<string, unknown>>, failedSteps = 0) => {
    for (const [name, report] of Object.entries(reports))
      writeFileSync(join(folder, `${name}.json`), JSON.stringify(report));
    const script = [join(root, "scripts/sum-results.mjs"), folder, String(failedSteps)];
    const { stdout, status } = spawnSync(process.execPath, script, { cwd: root, encoding: "utf8" });
    return { lines: stdout.trimEnd().split("\n"), status };
  };

  test("adds up what passed and what was skipped", () => {
    const half = reportOf([file("test/a.test.ts", "passed", [passed, passed, { status: "pending" }])]);
    expect(sum({ one: half, two: half })).toEqual({ lines: ["4 passed, 0 failed, 2 skipped"], status: 0 });
  });

  test("names each failure, its file, its step and its reason, right before the last line", () => {
    const { lines, status } = sum(
      { "npm-test": reportOf([file("test/a.test.ts", "failed", [passed, failing])]) },
      1,
    );
    expect(lines.slice(-4)).toEqual([
      "FAILED in npm-test: test/a.test.ts: kept order",
      "  Error: 2 before 1",
      "   at here",
      "1 passed, 1 failed",
    ]);
    expect(status).toBe(1);
  });

  test("counts and names a file that did not load", () => {
    const { lines, status } = sum(
      { long: reportOf([file("test/b.test.ts", "failed", [], "no such module")]) },
      1,
    );
    expect(lines.slice(-3)).toEqual([
      "FAILED in long: test/b.test.ts: (the file itself)",
      "  no such module",
      "0 passed, 1 failed",
    ]);
    expect(status).toBe(1);
  });

  test("never looks better than the steps were", () => {
    const fine = { one: reportOf([file("test/a.test.ts", "passed", [passed])]) };
    expect(sum(fine, 1)).toEqual({ lines: ["1 passed, 1 failed"], status: 1 });
  });

  test("does not pass where nothing ran", () => {
    expect(sum({})).toEqual({ lines: ["0 passed, 1 failed"], status: 1 });
  });
});
