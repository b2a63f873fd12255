import fc from "fast-check";
import { expect, test } from "vitest";
import { AgedMap } from "../../src/hub/aged-map.ts";

const steps = fc.array(
  fc.record({
    step: fc.constantFrom("set" as const, "delete" as const, "oldest" as const, "drop oldest" as const),
    key: fc.constantFrom("a", "b", "c", "d", "e"),
  }),
  { maxLength: 200 },
);

test("knows the same oldest key as a map that is walked from its start", () => {
  fc.assert(
    fc.property(steps, (taken) => {
      const aged = new AgedMap<string, number>();
      const plain = new Map<string, number>();
      for (const [at, { step, key }] of taken.entries()) {
        if (step === "set") {
          aged.set(key, at);
          plain.set(key, at);
        } else if (step === "delete") {
          expect(aged.delete(key)).toBe(plain.delete(key));
        } else {
          const [first] = plain.keys();
          expect(aged.oldest()).toBe(first);
          if (step === "drop oldest" && first !== undefined) {
            aged.delete(first);
            plain.delete(first);
          }
        }
        expect([...aged.keys()]).toEqual([...plain.keys()]);
        expect([...aged.values()]).toEqual([...plain.values()]);
        expect(aged.size).toBe(plain.size);
      }
    }),
    { numRuns: process.env["NOMQ_LONG"] ? 20_000 : 300 },
  );
});
