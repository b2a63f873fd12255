import { z } from "zod";
import {
  type AccessRule,
  type AccessToken,
  type AccessUser,
  accountFaults,
  whoFault,
} from "../access/index.ts";
import type { AccessConfig, Secret } from "./config.ts";
import type { Fault } from "./faults.ts";
import { anyText, filter, list, oneOf, secret } from "./fields.ts";
import { readSecret, type SecretSource } from "./secret.ts";

/** `access` as the file has it: secrets not read yet. */
export interface AccessSection {
  readonly users: readonly { readonly name: string; readonly password: Secret }[];
  readonly tokens: readonly {
    readonly name: string;
    readonly token: Secret;
    readonly scopes: readonly ("publish" | "subscribe" | "admin")[];
  }[];
  readonly rules: readonly AccessRule[];
}

/** `access`. */
export const accessSection: z.ZodType<AccessSection> = z.strictObject({
  users: list(z.strictObject({ name: anyText, password: secret })).default([]),
  tokens: list(
    z.strictObject({
      name: anyText,
      token: secret,
      scopes: list(oneOf(["publish", "subscribe", "admin"])).default([]),
    }),
  ).default([]),
  rules: list(
    z.strictObject({
      who: anyText,
      publish: list(filter).exactOptional(),
      subscribe: list(filter).exactOptional(),
    }),
  ).default([]),
});

/** Reads the section's secrets and says all that is wrong with it; what it answers is good only without faults. */
export function readAccess(section: AccessSection, source: SecretSource, faults: Fault[]): AccessConfig {
  const known = faults.length;
  const users = section.users.map(({ name, password }, at): AccessUser => {
    const path = ["access", "users", at, "password"];
    return { name, password: textOf(password, { path, source, faults }) };
  });
  const tokens = section.tokens.map(({ name, token, scopes }, at): AccessToken => {
    const path = ["access", "tokens", at, "token"];
    return { name, token: textOf(token, { path, source, faults }), scopes };
  });
  if (faults.length === known) faults.push(...accountFaults(users, tokens));
  for (const [at, rule] of section.rules.entries()) {
    const reason = whoFault(rule.who) ?? emptyFault(rule);
    const path = ["access", "rules", at, ...(whoFault(rule.who) === undefined ? [] : ["who"])];
    if (reason !== undefined) faults.push({ path, reason });
  }
  return { users, tokens, rules: section.rules };
}

interface Reading {
  readonly path: readonly PropertyKey[];
  readonly source: SecretSource;
  readonly faults: Fault[];
}

function textOf(secretValue: Secret, { path, source, faults }: Reading): string {
  const read = readSecret(secretValue, source);
  if ("text" in read) return read.text;
  faults.push({ path, reason: read.reason });
  return "";
}

const emptyFault = ({ publish = [], subscribe = [] }: AccessRule): string | undefined =>
  publish.length + subscribe.length > 0
    ? undefined
    : "allows nothing: give publish or subscribe (rules only allow; leave the rule out to deny)";
