import fc from "fast-check";
import { expect, test } from "vitest";
import { faultOf, minimise } from "./hub-oracle/minimal.ts";
import { runs } from "./hub-oracle/steps.ts";

const isLong = process.env["NOMQ_LONG"] !== undefined;
const [count, most] = isLong ? [1_000, 400] : [150, 200];
/** The long test takes new runs each time; `NOMQ_SEED` takes those of an earlier one again. */
const seed = Number(process.env["NOMQ_SEED"] ?? (isLong ? Date.now() % 1_000_000 : 7));

// Random publishes, attachments, faults and crashes, every rule after every step.
test(`no run of the hub breaks a rule: ${count} of up to ${most} steps`, { timeout: 1_800_000 }, async () => {
  for (const [number, steps] of fc.sample(runs(20, most), { numRuns: count, seed }).entries()) {
    if ((await faultOf(steps)) === undefined) continue;
    const { steps: least, fault } = await minimise(steps);
    const lines = least.map((step) => JSON.stringify(step)).join("\n");
    expect.fail(`NOMQ_SEED=${seed}, run ${number}: ${fault}\nafter the steps\n${lines}`);
  }
});
