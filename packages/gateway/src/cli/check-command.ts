import { inspectConfigFile } from "../config/load.ts";

/** Options of `nomq check`. */
export interface CheckOptions {
  readonly json?: boolean;
}

/** `nomq check`: 0 for a file the gateway would start with, else 1. */
export function runCheck(file: string, { json = false }: CheckOptions): number {
  const result = inspectConfigFile(file, process.cwd());
  if (json) {
    const faults = result.ok ? [] : result.faults;
    process.stdout.write(`${JSON.stringify({ file, valid: result.ok, faults })}\n`);
  } else if (result.ok) {
    process.stdout.write(`${file} is valid\n`);
  } else {
    throw result.error;
  }
  return result.ok ? 0 : 1;
}
