import fc from "fast-check";
import { expect, test } from "vitest";
import { faultOf, minimise } from "./hub-oracle/minimal.ts";
import { runs } from "./hub-oracle/steps.ts";

const isLong = process.env["NOMQ_LONG"] !== undefined;
const [count, most] = isLong ? [250, 400] : [120, 200];
const own = process.env["NOMQ_SEED"];
/** The same runs each time; `NOMQ_SEED` takes others. */
const seeds = own !== undefined ? [Number(own)] : isLong ? [1, 2, 3, 7, 4242] : [7];

// Random publishes, attachments, faults and crashes, every rule after every step.
test.each(seeds)(
  `no run of the hub breaks a rule: ${count} of up to ${most} steps, seed %i`,
  {
    timeout: 900_000,
  },
  async (seed) => {
    for (const [number, steps] of fc.sample(runs(20, most), { numRuns: count, seed }).entries()) {
      if ((await faultOf(steps)) === undefined) continue;
      const { steps: least, fault } = await minimise(steps);
      const lines = least.map((step) => JSON.stringify(step)).join("\n");
      expect.fail(`NOMQ_SEED=${seed}, run ${number}: ${fault}\nafter the steps\n${lines}`);
    }
  },
);
