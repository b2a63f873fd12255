import { expect, test } from "vitest";
import { forEachSeed, seedsOf } from "./faults.ts";
import { nothingShown, runWithDevice } from "./with-device.ts";

const seeds = seedsOf(25, 1000);

test(`a v1 device as peer over ${seeds.length} seeds: never delivered where its program got nothing, nothing twice that the device does not cause`, {
  timeout: 1_800_000,
}, async () => {
  const shown = nothingShown();
  await forEachSeed(seeds, (seed) => runWithDevice(seed, shown));
  if (process.env["NOMQ_SHOW"] !== undefined) process.stderr.write(`${JSON.stringify(shown)}\n`);
  if (seeds.length < 25) return;
  // Else the runs were too kind to prove anything.
  for (const outcome of ["qos1 delivered", "qos1 expired", "qos2 delivered", "qos2 uncertain"]) {
    expect(shown.outcomes[outcome], outcome).toBeGreaterThan(seeds.length / 10);
  }
  for (const often of [shown.doubled, shown.reboots, shown.taken]) {
    expect(often).toBeGreaterThan(seeds.length / 10);
  }
});
