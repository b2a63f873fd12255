import { describe, expect, test } from "vitest";
import { type Flood, floods, pour } from "../apps/bench/src/coap/floods.ts";
import { MOST_GROWN_MIB } from "../apps/bench/src/coap/floods-measured.ts";
import { startGateway } from "../apps/bench/src/coap/subjects.ts";

/** A part of each in the default run: what grows without end is seen with it as well. */
const PART = process.env["NOMQ_LONG"] === undefined ? 40 : 1;
const countOf = ({ full }: Flood): number => Math.ceil(full / PART);

describe("floods of CoAP at a real gateway", () => {
  test.each(floods.map((flood) => [countOf(flood), flood.name, flood] as const))(
    "%i %s: it lives, others are answered all the while, and memory stays bounded",
    async (count, _name, flood) => {
      await using gateway = await startGateway();
      // Asks for a value all the time, and rejects when it does not come.
      const { grownMiB } = await pour(gateway, flood, count);
      expect(grownMiB).toBeLessThanOrEqual(MOST_GROWN_MIB);
    },
  );
});
