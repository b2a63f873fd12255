import { expect, test } from "vitest";
import { planOf, play } from "./run.ts";
import { isLong, seedsOf } from "./seed.ts";

test.each(seedsOf([1]))(
  "with a fifth of the datagrams lost, and killed as well, the same holds (seed %i)",
  { timeout: 900_000 },
  async (seed) => {
    // One packet lost five times in a row is rare and costs a minute: the long run has it.
    const sample = isLong ? { times: 3, acks: 60 } : { times: 1, acks: 20, mostLosses: 2 };
    const summary = await play(planOf(seed, { loss: 0.2, ...sample }));
    const { passed, lost, spared } = summary.datagrams;
    expect(lost).toBeGreaterThan(0);
    // The busier the machine, the more copies of one packet there are: those that may not be lost again count as well.
    expect(lost + spared).toBeGreaterThan((passed + lost) / 10);
  },
);
