import { basename } from "node:path";
import { NomqError } from "@nomq/core";
import { CommanderError } from "commander";
import { createProgram } from "./program.ts";
import { UsageError } from "./usage-error.ts";

/** Exit codes (docs/api.md, "exit codes"). */
const OK = 0;
const FAILED = 1;
const USED_WRONGLY = 2;

/**
 * Runs one command line, `process.argv` as it is; resolves with the exit code. Both bins are this one: called as
 * `nomq-gateway`, or without a command, it is `nomq gateway`.
 */
export async function runCli(argv: readonly string[]): Promise<number> {
  // A reader that left (`nomq sub | head -1`) is an end, not a failure.
  process.stdout.on("error", () => process.exit(OK));
  const args = argv.slice(2);
  const calledAs = basename(argv[1] ?? "").replace(/\.[^.]*$/, "");
  if (calledAs === "nomq-gateway" && args[0] !== "gateway") args.unshift("gateway");
  let code = OK;
  const program = createProgram((result) => {
    code = result;
  });
  try {
    await program.parseAsync(args, { from: "user" });
    return code;
  } catch (error) {
    return report(error);
  }
}

function report(error: unknown): number {
  // Commander has printed its help or complaint already.
  if (error instanceof CommanderError) return error.exitCode === 0 ? OK : USED_WRONGLY;
  if (error instanceof UsageError) {
    process.stderr.write(`error: ${error.message}\n`);
    return USED_WRONGLY;
  }
  // Our own errors say what is wrong and what to do; anything else is a defect, and its trace is needed.
  const text =
    error instanceof NomqError ? error.message : error instanceof Error ? error.stack : String(error);
  process.stderr.write(`${text}\n`);
  return FAILED;
}
