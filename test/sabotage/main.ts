import { type Copy, copyCheckout } from "./checkout.ts";
import { SABOTAGES, type Sabotage } from "./sabotages.ts";
import { type Ran, runSuites } from "./suites.ts";

/** How one sabotage ended. */
interface Row {
  readonly name: string;
  readonly isFound: boolean;
  /** The test that found it, or why none did. */
  readonly by: string;
  readonly seconds: number;
}

const USAGE = `npm run sabotage [-- NAME … | --list]

Breaks one promise at a time in a copy of this checkout and runs the suites that should notice.
Exits with 1 when one of them stays green.
`;

const WIDTH = Math.max(...SABOTAGES.map(({ name }) => name.length));

process.exitCode = await main(process.argv.slice(2));

async function main(args: readonly string[]): Promise<number> {
  const unknown = args.find((each) => !SABOTAGES.some(({ name }) => name === each));
  if (args.includes("--list")) {
    for (const { name, breaks } of SABOTAGES) process.stdout.write(`${name.padEnd(WIDTH)}  ${breaks}\n`);
    return 0;
  }
  if (unknown !== undefined) {
    process.stderr.write(args.includes("--help") ? USAGE : `no sabotage is called ${unknown}\n${USAGE}`);
    return args.includes("--help") ? 0 : 2;
  }
  return await report(SABOTAGES.filter(({ name }) => args.length === 0 || args.includes(name)));
}

async function report(chosen: readonly Sabotage[]): Promise<number> {
  using copy = copyCheckout();
  const sound = await soundFault(copy.path, chosen);
  if (sound !== undefined) {
    process.stderr.write(`without any sabotage: ${sound}\n`);
    return 1;
  }
  const rows: Row[] = [];
  for (const sabotage of chosen) {
    const row = await tried(copy, sabotage);
    rows.push(row);
    process.stdout.write(line(row));
  }
  const green = rows.filter(({ isFound }) => !isFound);
  process.stdout.write(`\n${rows.length - green.length} of ${rows.length} sabotages were noticed\n`);
  return green.length === 0 ? 0 : 1;
}

async function tried(copy: Copy, sabotage: Sabotage): Promise<Row> {
  const began = performance.now();
  try {
    const undo = copy.apply(sabotage);
    const ran = await runSuites(copy.path, sabotage.suites);
    undo();
    return rowOf(sabotage, ran, (performance.now() - began) / 1_000);
  } catch (error) {
    return { name: sabotage.name, isFound: false, by: String(error), seconds: 0 };
  }
}

/** What turns red by itself proves nothing: every suite named here must be green before. */
async function soundFault(checkout: string, chosen: readonly Sabotage[]): Promise<string | undefined> {
  const byProject = Map.groupBy(
    chosen.flatMap(({ suites }) => suites),
    ({ project }) => project,
  );
  for (const [project, suites] of byProject) {
    const files = [...new Set(suites.flatMap((suite) => suite.files))];
    const { failed, passed, broken } = await runSuites(checkout, [{ project, files }]);
    if (broken !== undefined) return broken;
    if (failed.length > 0) return `${project}: ${failed.join("; ")}`;
    process.stdout.write(`green without sabotage: ${project}, ${passed} tests of ${files.length} files\n`);
  }
  process.stdout.write("\n");
  return undefined;
}

function rowOf({ name }: Sabotage, { failed, passed, broken }: Ran, seconds: number): Row {
  const [first] = failed;
  if (first !== undefined) return { name, isFound: true, by: first, seconds };
  // A file that does not load tells nothing of what the tests are worth.
  if (broken !== undefined) return { name, isFound: false, by: `broken, not red: ${broken}`, seconds };
  return { name, isFound: false, by: `STILL GREEN: ${passed} tests passed`, seconds };
}

function line({ name, isFound, by, seconds }: Row): string {
  return `${isFound ? "red  " : "GREEN"}  ${name.padEnd(WIDTH)}  ${seconds.toFixed(0).padStart(3)} s  ${by}\n`;
}
