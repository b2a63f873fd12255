import { describe, expect, test } from "vitest";
import { type Flood, floods, pour } from "../apps/bench/src/coap/floods.ts";
import { MOST_GROWN_MIB } from "../apps/bench/src/coap/floods-measured.ts";
import { startGateway } from "../apps/bench/src/coap/subjects.ts";

const isLong = process.env["NOMQ_LONG"] !== undefined;
/** A part of each in the default run: what grows without end is seen with it as well. */
const PART = isLong ? 1 : 40;
/** MiB that the second half of a whole flood may add: one kilobyte kept of each upload would be 50. */
const MOST_LATER_MIB = 40;
const countOf = ({ full }: Flood): number => Math.ceil(full / PART);

describe("floods of CoAP at a real gateway", () => {
  test.each(floods.map((flood) => [countOf(flood), flood.name, flood] as const))(
    "%i %s: it lives, others are answered all the while, and memory stays bounded",
    async (count, _name, flood) => {
      await using gateway = await startGateway();
      // Asks for a value all the time, and rejects when it does not come.
      const { grownMiB, grownLaterMiB } = await pour(gateway, flood, count);
      if (!isLong) expect(grownMiB).toBeLessThanOrEqual(MOST_GROWN_MIB);
      // A whole flood makes V8 hold garbage for longer: what counts there is that it comes to an end.
      expect(grownLaterMiB).toBeLessThanOrEqual(MOST_LATER_MIB);
    },
  );
});
