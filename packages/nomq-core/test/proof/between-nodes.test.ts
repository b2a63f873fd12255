import { expect, test } from "vitest";
import { nothingShown, runBetweenNodes } from "./between-nodes.ts";
import { forEachSeed, seedsOf } from "./faults.ts";

const seeds = seedsOf(25, 1000);

test(`QoS 1 at least once, QoS 2 exactly once, in order and truly reported, between two nodes over ${seeds.length} seeds of loss, doubling and reordering`, {
  timeout: 1_800_000,
}, async () => {
  const shown = nothingShown();
  await forEachSeed(seeds, (seed) => runBetweenNodes(seed, shown));
  if (process.env["NOMQ_SHOW"] !== undefined) process.stderr.write(`${JSON.stringify(shown)}\n`);
  if (seeds.length < 25) return;
  // Else the runs were too kind to prove anything.
  expect(shown.sessions).toBeGreaterThan(4 * seeds.length);
  for (const often of [shown.busy, shown.expired, shown.uncertain, shown.refusedByApplication]) {
    expect(often).toBeGreaterThan(seeds.length / 5);
  }
});
