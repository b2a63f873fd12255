import { hash } from "node:crypto";
import { NomqError } from "@nomq/core";
import type { KeyConfig } from "./config/config.ts";

type Half = "encryption" | "mac";

/** What is wrong with a key that is well formed. */
export interface KeyWeakness {
  /** The half that says it. */
  readonly half: Half;
  /** For the person who configured it; never shows the key. */
  readonly reason: string;
}

/** SHA-256 of halves that everyone can read, so that this program does not hand them on, and where they stand. */
const PUBLISHED: Readonly<Record<string, string>> = {
  "4884fdaafea47c29fea7159d0daddd9c085d6200e1359e85bb81736af6b7c837": "the original's sample configuration",
  "5fe74bd8d11233a415702e9f19decc6ddc63a01f053eaeee3e1a5ac17e039d3d": "the original's sample configuration",
  c7671f0ccfdd8a90b58475c56e41c45baa3884bc241e7a9f9378dff76e81e89a: "the original's first version",
  d398042852cd41bf408b5b1aa21dbb2bdd4ea62cdc744bcd3c261789e6839bec: "docs/protocol.md",
  a66fa12e41005f3748584ddf30dd3d63e82dd2bf46d042c6bc92023982c98c29: "docs/protocol.md",
};

/** The halves of the test vectors: public too, and what tests and trials run with, so they are told and not refused. */
const TEST_HALVES: readonly string[] = [
  "630dcd2966c4336691125448bbb25b4ff412a49c732db2c8abc1b8581bd710dd",
  "72dbb7336c76780023f83da4c355f2eeea85733b13d3477697917790c1229084",
];

const ADVICE = "nomq keys new makes a key of your own";

/** Why a key protects nothing: it is a sample that was published, or all zeros. */
export function weaknessOf(key: Pick<KeyConfig, Half>): KeyWeakness | undefined {
  for (const half of ["encryption", "mac"] as const) {
    const where = PUBLISHED[digestOf(key[half])];
    if (where !== undefined) {
      return { half, reason: `is a sample key that everyone can read in ${where}; ${ADVICE}` };
    }
    if (/^0+$/.test(key[half])) return { half, reason: `is all zeros; ${ADVICE}` };
  }
  return undefined;
}

/** Throws `key-invalid` for a key that {@link weaknessOf} knows; `where` names its file. */
export function refuseWeakKey(key: KeyConfig, where: string): void {
  const weak = weaknessOf(key);
  if (weak === undefined) return;
  throw new NomqError("key-invalid", `${where}: the ${weak.half} key of ${key.id} ${weak.reason}`);
}

/** What the owner of a key should know, though boards may already have it and it is taken. */
export function warningOf(key: Pick<KeyConfig, Half>): string | undefined {
  if ([key.encryption, key.mac].some((half) => TEST_HALVES.includes(digestOf(half)))) {
    return "stands in the project's test vectors: everyone has it";
  }
  return digestOf(key.encryption) === digestOf(key.mac) ? `has the same half twice; ${ADVICE}` : undefined;
}

const digestOf = (half: string): string => hash("sha256", Buffer.from(half, "hex"), "hex");
