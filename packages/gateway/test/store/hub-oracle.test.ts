import fc from "fast-check";
import { expect, test } from "vitest";
import { faultOf } from "../../../nomq-core/test/hub-oracle/minimal.ts";
import { runs } from "../../../nomq-core/test/hub-oracle/steps.ts";
import { diskGround } from "./oracle-ground.ts";

const isLong = process.env["NOMQ_LONG"] !== undefined;
const [count, most] = isLong ? [150, 300] : [12, 120];
const seed = Number(process.env["NOMQ_SEED"] ?? 7);

// The hub's own oracle, with every crash a copy of the folder while the store before it is open.
test(`no run of the hub on the durable store breaks a rule: ${count} of up to ${most} steps`, {
  timeout: 900_000,
}, async () => {
  for (const [number, steps] of fc.sample(runs(20, most), { numRuns: count, seed }).entries()) {
    const fault = await faultOf(steps, diskGround);
    expect(fault, `NOMQ_SEED=${seed}, run ${number}`).toBeUndefined();
  }
});
