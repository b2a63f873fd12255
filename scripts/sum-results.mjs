// Adds up vitest's JSON reports in a folder and prints each failure, then "N passed, N failed".
//   node scripts/sum-results.mjs FOLDER FAILED_STEPS
// A test file that failed without a failing test (it did not load), and a failed step that no failing test
// explains, count as failures, so that the line never looks better than the run was. Exit 1 on any failure.
// The failures stand last because the end of a long output is what gets read, or kept.
import { readdirSync, readFileSync } from "node:fs";
import { basename, join, relative } from "node:path";

const [folder = ".", failedSteps = "0"] = process.argv.slice(2);
const total = { passed: 0, failed: 0, skipped: 0 };
const shownLines = 25;

for (const name of readdirSync(folder).filter((file) => file.endsWith(".json"))) {
  const report = JSON.parse(readFileSync(join(folder, name), "utf8"));
  total.passed += report.numPassedTests;
  total.failed += report.numFailedTests;
  total.skipped += report.numPendingTests + report.numTodoTests;
  for (const file of report.testResults) {
    const failures = failuresOf(file);
    total.failed += failures.filter((failure) => failure.unloaded).length;
    for (const failure of failures) tell(basename(name, ".json"), file.name, failure);
  }
}

if (total.failed === 0) total.failed = Number(failedSteps);
if (total.passed === 0 && total.failed === 0) total.failed = 1;
const skipped = total.skipped > 0 ? `, ${total.skipped} skipped` : "";
console.log(`${total.passed} passed, ${total.failed} failed${skipped}`);
process.exitCode = total.failed === 0 ? 0 : 1;

/** The failing tests of one file, or the file itself where it failed without one. */
function failuresOf(file) {
  const failing = file.assertionResults.filter((test) => test.status === "failed");
  if (failing.length === 0 && file.status === "failed")
    return [{ unloaded: true, title: "(the file itself)", messages: [file.message ?? ""] }];
  return failing.map((test) => ({
    unloaded: false,
    title: test.fullName,
    messages: test.failureMessages ?? [],
  }));
}

function tell(step, file, { title, messages }) {
  console.log(`\nFAILED in ${step}: ${relative(process.cwd(), file)}: ${title.trim()}`);
  for (const line of messages.join("\n").split("\n").slice(0, shownLines))
    console.log(`  ${line.slice(0, 1000)}`);
}
