import { randomFillSync } from "node:crypto";

const pool = new Uint32Array(256);
let at: number = pool.length;

/** Uniform in [0, 1), of random bytes that nobody can guess; they are drawn a few hundred at a time. */
export function secureRandom(): number {
  if (at === pool.length) {
    randomFillSync(pool);
    at = 0;
  }
  const number = pool[at] ?? 0;
  at += 1;
  return number / 2 ** 32;
}
