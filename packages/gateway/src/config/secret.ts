import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { codeOf } from "@nomq/core";
import type { Secret } from "./config.ts";

/** Where `{ file }` and `{ env }` are looked up. */
export interface SecretSource {
  /** Relative paths start here. */
  readonly folder: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** The secret itself, or why it cannot be had; the reason never holds the secret. */
export type ReadSecret = { readonly text: string } | { readonly reason: string };

/** Reads a secret. White space around the text of a file is not part of it. */
export function readSecret(secret: Secret, from: SecretSource): ReadSecret {
  if (typeof secret === "string") return { text: secret };
  if ("env" in secret) {
    const text = from.env[secret.env];
    return text === undefined || text === ""
      ? { reason: `environment variable ${secret.env} is not set` }
      : { text };
  }
  const path = resolve(from.folder, secret.file);
  try {
    return { text: readFileSync(path, "utf8").trim() };
  } catch (error) {
    return { reason: `cannot read ${path} (${codeOf(error)})` };
  }
}
