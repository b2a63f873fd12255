// Adds up vitest's JSON reports in a folder and prints "N passed, N failed".
//   node scripts/sum-results.mjs FOLDER FAILED_STEPS
// A test file that failed without a failing test (it did not load), and a failed step that no failing test
// explains, count as failures, so that the line never looks better than the run was. Exit 1 on any failure.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const [folder = ".", failedSteps = "0"] = process.argv.slice(2);
const total = { passed: 0, failed: 0, skipped: 0 };

for (const name of readdirSync(folder).filter((file) => file.endsWith(".json"))) {
  const report = JSON.parse(readFileSync(join(folder, name), "utf8"));
  total.passed += report.numPassedTests;
  total.failed += report.numFailedTests;
  total.skipped += report.numPendingTests + report.numTodoTests;
  for (const file of report.testResults) {
    const explained = file.assertionResults.some((test) => test.status === "failed");
    if (file.status === "failed" && !explained) total.failed += 1;
  }
}

if (total.failed === 0) total.failed = Number(failedSteps);
if (total.passed === 0 && total.failed === 0) total.failed = 1;
const skipped = total.skipped > 0 ? `, ${total.skipped} skipped` : "";
console.log(`${total.passed} passed, ${total.failed} failed${skipped}`);
process.exitCode = total.failed === 0 ? 0 : 1;
