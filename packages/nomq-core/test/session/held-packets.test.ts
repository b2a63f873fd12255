import fc from "fast-check";
import { expect, test } from "vitest";
import { type Forgotten, nothingHeld } from "../../src/session/held-packets.ts";

/** Few seconds and few marks, so that packets of one second, repeated marks and both ways of holding come up. */
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant("with" as const), at: fc.nat(12), mark: fc.nat(60) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("record" as const), mark: fc.nat(60) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("above" as const), floor: fc.nat(8) }) },
);

const sorted = (pairs: Iterable<Forgotten>): readonly Forgotten[] =>
  [...pairs].sort(([, one], [, other]) => one - other);

test("packets are held above the floor, few or many, and those with a record are told when they go", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
      let held = nothingHeld;
      const model = new Map<number, { at: number; isRecorded: boolean }>();
      for (const one of steps) {
        if (one.do === "with" && !model.has(one.mark)) {
          held = held.with({ timestamp: one.at, mark: one.mark });
          model.set(one.mark, { at: one.at, isRecorded: false });
        } else if (one.do === "record") {
          const packet = model.get(one.mark);
          expect(held.record(one.mark)).toBe(packet !== undefined);
          if (packet !== undefined) packet.isRecorded = true;
        } else if (one.do === "above") {
          const forgotten: Forgotten[] = [];
          held = held.above(one.floor, forgotten);
          const gone = [...model].filter(([, { at }]) => at <= one.floor);
          for (const [mark] of gone) model.delete(mark);
          const told = gone
            .filter(([, { isRecorded }]) => isRecorded)
            .map(([mark, { at }]) => [at, mark] as const);
          expect(sorted(forgotten)).toEqual(sorted(told));
        }
        expect(held.size).toBe(model.size);
        expect(held.oldest()).toBe(Math.min(...[...model.values()].map(({ at }) => at)));
        for (let mark = 0; mark <= 60; mark += 1) expect(held.has(mark)).toBe(model.has(mark));
      }
      const left = [...model].filter(([, { isRecorded }]) => isRecorded);
      expect(sorted(held.recorded())).toEqual(sorted(left.map(([mark, { at }]) => [at, mark] as const)));
      expect(nothingHeld.size).toBe(0);
    }),
    { numRuns: process.env["NOMQ_LONG"] === undefined ? 60 : 5_000, seed: 4 },
  );
});
