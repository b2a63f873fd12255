import { keyText, newKey, writeKeyFile } from "../keys.ts";
import { UsageError } from "./usage-error.ts";

/** Options of `nomq keys new`. */
export interface KeysNewOptions {
  readonly id: string;
  readonly out?: string;
}

/** `nomq keys new`. */
export function runKeysNew({ id, out }: KeysNewOptions): number {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(id)) {
    throw new UsageError("--id is made of letters, digits and . _ -");
  }
  const key = newKey(id);
  if (out === undefined) {
    process.stdout.write(keyText(key));
    return 0;
  }
  writeKeyFile(out, key);
  process.stderr.write(`wrote the key ${id} to ${out}; whoever has this file is a device of the network\n`);
  return 0;
}
