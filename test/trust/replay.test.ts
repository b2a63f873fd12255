import { expect, test } from "vitest";
import { planOf, play } from "./run.ts";
import { isLong, seedsOf } from "./seed.ts";

test.each(seedsOf([2]))(
  "datagrams recorded before a kill are neither delivered nor answered after it, transfers by CoAP not delivered again (seed %i)",
  { timeout: 900_000 },
  async (seed) => {
    const summary = await play(planOf(seed, { kinds: ["kill, then replay"], times: isLong ? 5 : 2 }));
    expect(summary.replayed).toBeGreaterThan(100);
  },
);
