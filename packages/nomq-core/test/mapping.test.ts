import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createMappingLosses, nomqMapping } from "../src/index.ts";
import { publishSize } from "../src/packet/encode.ts";
import { LARGEST_DATAGRAM } from "../src/packet/layout.ts";

describe("counts of what is lost", () => {
  test("stand under protocol, variant and property; the log hears of each once", () => {
    const said: unknown[] = [];
    const log = {
      debug() {},
      info: (_: string, fields: unknown) => said.push(fields),
      warn() {},
      error() {},
    };
    const losses = createMappingLosses(() => log);
    losses.add("nomq:pump-7", "mqtt:3.1.1", "priority");
    losses.add("nomq:valve-1", "mqtt:3.1.1", "priority");
    losses.add("mqtt:broker", "nomq:device", "content-type");
    expect(losses.read()).toEqual([
      { from: "nomq", to: "mqtt:3.1.1", property: "priority", count: 2 },
      { from: "mqtt", to: "nomq:device", property: "content-type", count: 1 },
    ]);
    expect(said).toEqual([
      { from: "nomq", to: "mqtt:3.1.1", property: "priority" },
      { from: "mqtt", to: "nomq:device", property: "content-type" },
    ]);
  });

  test("stay few whatever origins are called, and every loss is in one", () => {
    const origins = fc.array(fc.string(), { maxLength: 300 });
    fc.assert(
      fc.property(origins, (names) => {
        const losses = createMappingLosses();
        for (const name of names) losses.add(name, "mqtt:3.1.1", "ttl");
        expect(losses.read().length).toBeLessThanOrEqual(33);
        expect(losses.read().reduce((sum, { count }) => sum + count, 0)).toBe(names.length);
      }),
      { numRuns: 100 },
    );
  });
});

test("the size a node takes is what one datagram carries in the longer dialect", () => {
  const { most = 0 } = nomqMapping.rows.size.to.node;
  const bytes = (message: number): number => publishSize(message, { dialect: "micropython", layout: 16 });
  expect(bytes(most)).toBeLessThanOrEqual(LARGEST_DATAGRAM);
  expect(bytes(most + 1)).toBeGreaterThan(LARGEST_DATAGRAM);
});
