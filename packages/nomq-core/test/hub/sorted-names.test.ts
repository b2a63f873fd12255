import fc from "fast-check";
import { expect, test } from "vitest";
import { SortedNames } from "../../src/hub/memory/sorted-names.ts";

const step = fc.record({ name: fc.string({ maxLength: 2 }), looks: fc.boolean() });

test("names are listed in order, each once, whatever comes and goes", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const held = new Set<string>();
      const names = new SortedNames((name) => held.has(name));
      for (const { name, looks } of steps) {
        if (held.delete(name)) names.gone();
        else {
          held.add(name);
          names.add(name);
        }
        if (!looks) continue;
        const all = names.all();
        expect(all).toEqual([...new Set(all)].sort());
        expect(all.filter((each) => held.has(each))).toEqual([...held].sort());
        expect(all.length).toBeLessThanOrEqual(2 * held.size + 1);
      }
    }),
    { numRuns: process.env["NOMQ_LONG"] ? 20_000 : 300 },
  );
});
