import { expect, test } from "vitest";
import { planOf, play } from "./run.ts";
import { isLong, seedsOf } from "./seed.ts";

test.each(seedsOf([1]))(
  "while the store hangs nothing is acknowledged and QoS 0 flows; then all goes on (seed %i)",
  { timeout: 900_000 },
  async (seed) => {
    const kinds = isLong ? (["hang", "kill", "hang"] as const) : (["hang"] as const);
    const summary = await play(planOf(seed, { kinds, times: 1, forMs: isLong ? 10_000 : 1_000, acks: 150 }));
    expect(summary.acked).toBeGreaterThan(0);
  },
);
