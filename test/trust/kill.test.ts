import { expect, test } from "vitest";
import { planOf, play } from "./run.ts";
import { isLong, seedsOf } from "./seed.ts";

test.each(seedsOf([1]))(
  "killed at random moments under mixed traffic, it loses nothing acknowledged, doubles no QoS 2 and counts exactly (seed %i)",
  {
    timeout: 900_000,
  },
  async (seed) => {
    const summary = await play(planOf(seed, { times: isLong ? 50 : 5 }));
    expect(summary.kills).toBe(isLong ? 50 : 5);
  },
);
