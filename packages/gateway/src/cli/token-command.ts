import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { codeOf, NomqError } from "@nomq/core";
import { nameFault } from "../access/accounts.ts";
import type { Scope } from "../access/index.ts";
import { UsageError } from "./usage-error.ts";

/** Options of `nomq token new`. */
export interface TokenNewOptions {
  readonly scope?: readonly Scope[];
  readonly out?: string;
  readonly json?: boolean;
}

const BYTES = 24;

/** `nomq token new`. */
export function runTokenNew(name: string, { scope = [], out, json }: TokenNewOptions): number {
  const fault = nameFault(name);
  if (fault !== undefined) throw new UsageError(`the name ${fault}`);
  const token = randomBytes(BYTES).toString("base64url");
  if (out !== undefined) writeToken(out, token);
  if (json === true) {
    const secret = out === undefined ? token : { file: out };
    process.stdout.write(`${JSON.stringify({ name, token: secret, scopes: scope })}\n`);
    return 0;
  }
  const secret = out === undefined ? JSON.stringify(token) : `{ file: ${JSON.stringify(out)} }`;
  process.stdout.write(
    `- { name: ${JSON.stringify(name)}, token: ${secret}, scopes: [${scope.join(", ")}] }\n`,
  );
  process.stderr.write("put this line under access: tokens: in gateway.yaml, and give the token a rule\n");
  return 0;
}

/** For its owner alone; an existing file is never overwritten. */
function writeToken(file: string, token: string): void {
  try {
    writeFileSync(file, `${token}\n`, { flag: "wx", mode: 0o600 });
  } catch (error) {
    throw new NomqError("request-refused", `cannot write ${file} (${codeOf(error)}); no token was made`);
  }
}
