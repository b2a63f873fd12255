import type { Clock } from "../../src/index.ts";
import { createPrng, type FakeClock, type MemoryNetworkConditions } from "../../src/testing/index.ts";

const isLong = process.env["NOMQ_LONG"] !== undefined;
const own = process.env["NOMQ_SEED"];

/** The seeds of one proof: few by default, all with NOMQ_LONG, one with NOMQ_SEED, which replays it. */
export function seedsOf(few: number, all: number): readonly number[] {
  if (own !== undefined) return [Number(own)];
  return Array.from({ length: isLong ? all : few }, (_, at) => at + 1);
}

/** Issue: 20 % lost, 10 % doubled, and reordering; from a quiet LAN to a way of several seconds. */
export function faultsOf(seed: number): MemoryNetworkConditions & { readonly seed: number } {
  const random = createPrng(seed * 7919);
  const ways = [
    { delayMs: [0, 40], holdMs: 200 },
    { delayMs: [20, 400], holdMs: 1500 },
    { delayMs: [0, 3000], holdMs: 4000 },
  ] as const;
  const way = ways[random.between(0, ways.length - 1)] ?? ways[0];
  return { seed, loss: 0.2, duplicate: 0.1, reorder: 0.25, ...way };
}

/** Random bytes that are the same in every run of a seed. */
export function seededBytes(seed: number): (target: Uint8Array) => void {
  const random = createPrng(seed);
  return (target) => {
    for (let at = 0; at < target.length; at += 1) target[at] = random.between(0, 255);
  };
}

/** The same as a device takes it. */
export function seededDraw(seed: number): (bytes: number) => Uint8Array {
  const fill = seededBytes(seed);
  return (bytes) => {
    const drawn = new Uint8Array(bytes);
    fill(drawn);
    return drawn;
  };
}

/** Resolves when the clock has moved on by `ms`. */
export function pause(clock: Clock, ms: number): Promise<void> {
  return new Promise((resolve) => {
    clock.after(ms, resolve);
  });
}

/** Moves the clock until the work is done; a run that needs more than `ms` hangs. */
export async function drive(
  clock: FakeClock,
  work: Promise<unknown>,
  ms: number = 6 * 3600 * 1000,
): Promise<void> {
  const state = { done: false };
  const finished = work.finally(() => {
    state.done = true;
  });
  finished.catch(() => undefined);
  const until = clock.monotonic() + ms;
  while (!state.done && clock.monotonic() < until) await clock.advance(2000);
  if (!state.done) throw new Error(`nothing ended within ${ms / 1000} s of the clock`);
  await finished;
}

/** Runs a proof for each seed; what fails says how to see it again. */
export async function forEachSeed(
  seeds: readonly number[],
  run: (seed: number) => Promise<void>,
): Promise<void> {
  for (const seed of seeds) {
    try {
      await run(seed);
    } catch (fault) {
      const said = fault instanceof Error ? fault.message : String(fault);
      throw new Error(`NOMQ_SEED=${seed}: ${said}`, { cause: fault });
    }
  }
}
