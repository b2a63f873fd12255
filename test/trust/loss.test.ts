import { expect, test } from "vitest";
import { planOf, play } from "./run.ts";
import { isLong, seedsOf } from "./seed.ts";

test.each(seedsOf([1]))(
  "with a fifth of the datagrams lost, and killed as well, the same holds (seed %i)",
  { timeout: 900_000 },
  async (seed) => {
    const summary = await play(planOf(seed, { loss: 0.2, times: isLong ? 3 : 1, acks: isLong ? 60 : 20 }));
    expect(summary.datagrams.lost).toBeGreaterThan(summary.datagrams.passed / 10);
  },
);
