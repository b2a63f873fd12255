import type { Reporter, TestModule, TestSuite } from "vitest/node";

/** Names every skipped suite after the run: what was not tested must be seen, not counted. */
export default class SkippedReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const names = modules.flatMap((module) =>
      [...module.children.suites()].flatMap((suite) => skippedSuites(suite, module.relativeModuleId)),
    );
    if (names.length === 0) return;
    process.stdout.write(`\nSkipped suites:\n${names.map((name) => `  ${name}\n`).join("")}`);
  }
}

function skippedSuites(suite: TestSuite, file: string): readonly string[] {
  if (suite.state() === "skipped") return [`${file}: ${suite.fullName}`];
  return [...suite.children.suites()].flatMap((child) => skippedSuites(child, file));
}
