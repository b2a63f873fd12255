import { describe, expect, test } from "vitest";
import { planOf, play } from "./run.ts";
import { isLong, seedsOf } from "./seed.ts";
import { canMount, MOUNT_ADVICE } from "./small-disk.ts";

describe.skipIf(!canMount)(`on a small disk (${MOUNT_ADVICE})`, () => {
  test.each(seedsOf([1]))(
    "that fills, QoS 1 and 2 is refused and not lost, QoS 0 flows, and it heals by itself (seed %i)",
    {
      timeout: 900_000,
    },
    async (seed) => {
      const kinds = isLong ? (["full", "no room at all", "kill while full"] as const) : (["full"] as const);
      const summary = await play(planOf(seed, { kinds, times: isLong ? 2 : 1, acks: 150 }));
      expect(summary.refused).toBeGreaterThan(0);
    },
  );
});
