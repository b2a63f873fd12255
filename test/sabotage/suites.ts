import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";

/** Test files of one project of vitest.config.ts. */
export interface Suite {
  /** `nomq-core`, `mqtt-bridge`, `gateway`, `workspace`. */
  readonly project: string;
  /** Relative to the project's folder. */
  readonly files: readonly string[];
}

/** How suites ended. */
export interface Ran {
  /** Titles of the tests that failed. */
  readonly failed: readonly string[];
  readonly passed: number;
  /** Files that could not be loaded, and what else was wrong: not a test's verdict. */
  readonly broken: string | undefined;
}

/** No suite here takes longer by itself; one that hangs has not passed either. */
const LONGEST_MS = 300_000;

/** Runs suites in a checkout, until the first test fails. */
export async function runSuites(checkout: string, suites: readonly Suite[]): Promise<Ran> {
  const report = join(checkout, "sabotage-report.json");
  const projects = suites.flatMap(({ project }) => ["--project", project]);
  const files = suites.flatMap((suite) => suite.files.map((file) => join(folderOf(suite), file)));
  const bin = join(checkout, "node_modules", "vitest", "vitest.mjs");
  const args = [bin, "run", "--bail=1", ...projects, "--reporter=json", `--outputFile=${report}`, ...files];
  const said = await run(checkout, args);
  return readReport(report, said);
}

/** Where a project's test files lie. */
export const folderOf = ({ project }: Pick<Suite, "project">): string =>
  project === "workspace" ? "test" : join("packages", project, "test");

function run(cwd: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { cwd, stdio: ["ignore", "pipe", "pipe"] });
    const timer = setTimeout(() => child.kill("SIGKILL"), LONGEST_MS);
    let said = "";
    const hear = (chunk: Buffer): void => {
      said = (said + chunk.toString()).slice(-2_000);
    };
    child.stdout.on("data", hear);
    child.stderr.on("data", hear);
    child.once("error", reject);
    child.once("close", () => {
      clearTimeout(timer);
      resolve(said);
    });
  });
}

/** What of vitest's JSON report is read. */
interface Report {
  readonly numPassedTests: number;
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly message: string;
    readonly assertionResults: readonly { readonly status: string; readonly fullName: string }[];
  }[];
}

function readReport(path: string, said: string): Ran {
  let report: Report;
  try {
    // Vitest's own shape.
    report = JSON.parse(readFileSync(path, "utf8")) as Report;
  } catch {
    return { failed: [], passed: 0, broken: `no report: ${said.trim().slice(-500)}` };
  }
  const failed = report.testResults.flatMap(({ assertionResults }) =>
    assertionResults.flatMap(({ status, fullName }) => (status === "failed" ? [fullName] : [])),
  );
  const unloaded = report.testResults.find(
    ({ status, assertionResults }) =>
      status === "failed" && !assertionResults.some((each) => each.status === "failed"),
  );
  const broken = unloaded === undefined ? undefined : `${unloaded.name}: ${unloaded.message.slice(0, 500)}`;
  return { failed, passed: report.numPassedTests, broken };
}
