import { createPrng, type Prng } from "@nomq/core/testing";

/** Full counts instead of a sample. */
export const isLong: boolean = process.env["NOMQ_LONG"] !== undefined;

/** `NOMQ_SEED` replays one plan; else the seeds given. */
export function seedsOf(seeds: readonly number[]): readonly number[] {
  const own = process.env["NOMQ_SEED"];
  return own === undefined ? seeds : [Number(own)];
}

/** A stream of numbers of its own for each use of a seed, so that one more draw here changes nothing there. */
export function draws(seed: number, use: string): Prng {
  let mixed = seed;
  for (const letter of use) mixed = Math.imul(mixed ^ (letter.codePointAt(0) ?? 0), 0x01000193);
  return createPrng(mixed);
}
