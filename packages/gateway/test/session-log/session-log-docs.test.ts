import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const ROOT = fileURLToPath(new URL("../../../..", import.meta.url));
const DOC = readFileSync(join(ROOT, "docs/session-log.md"), "utf8");
const TABLE = DOC.slice(DOC.indexOf("| `what` |"));
const NOUNS = "gateway|store|value|client|login|peer|session|subscription|publish|access|log|sensor|service";
const WHAT = new RegExp(`"((?:${NOUNS})\\.[a-z-]+)"`, "g");

/** What the sources record, but for file names that look alike. */
function recorded(): readonly string[] {
  const files = globSync("packages/*/src/**/*.ts", { cwd: ROOT }).filter(
    (file) => !file.includes("/testing/"),
  );
  const words = files.flatMap((file) =>
    [...readFileSync(join(ROOT, file), "utf8").matchAll(WHAT)].flatMap(([, word]) => word ?? []),
  );
  // Made of its state where it is recorded.
  return [...new Set([...words, "peer.online", "peer.offline"])].filter(
    (word) => !/\.(ts|json|yaml|jsonl)$/.test(word),
  );
}

test("docs/session-log.md tells everything that is recorded, and nothing else", () => {
  const told = TABLE.split("\n").flatMap((row) =>
    [...(row.split("|")[1] ?? "").matchAll(/`([a-z]+\.[a-z-]+)`/g)].flatMap(([, word]) => word ?? []),
  );
  expect(told.length).toBeGreaterThan(20);
  expect(recorded().toSorted()).toEqual(told.toSorted());
});
