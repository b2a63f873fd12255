import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  OPENING,
  type RelationInput,
  type RelationState,
  stepRelation,
} from "../../src/observe/relation-state.ts";

const more = fc.boolean();
const input: fc.Arbitrary<RelationInput> = fc.oneof(
  fc.record({ on: fc.constantFrom("opened" as const, "acknowledged" as const), more }),
  fc.record({ on: fc.constantFrom("news" as const, "turn" as const, "withdrawn" as const) }),
  fc.record({
    on: fc.constant("spoken" as const),
    as: fc.constantFrom("con" as const, "last" as const, "non" as const, "nothing" as const),
    more,
  }),
);

describe("the life of a relation", () => {
  test("is handed to the message layer only in its turn, and never twice at a time", () => {
    fc.assert(
      fc.property(fc.array(input, { maxLength: 40 }), (inputs) => {
        let state: RelationState = OPENING;
        let isInRow = false;
        for (const one of inputs) {
          const before: RelationState = state;
          const step = stepRelation(before, one);
          state = step.state;
          if (step.effect === "enqueue") {
            expect(isInRow).toBe(false);
            isInRow = true;
          }
          if (step.effect === "hand") {
            expect([isInRow, one.on, before.is]).toEqual([true, "turn", "due"]);
            isInRow = false;
          }
          expect(state.is === "due").toBe(isInRow);
          expect(stepRelation(state, { on: "lost" }).state).toEqual({ is: "gone" });
        }
      }),
      { numRuns: process.env["NOMQ_LONG"] ? 20_000 : 1_000 },
    );
  });

  test("begins when its registration is answered, and ends with the acknowledgement of its last word", () => {
    expect(stepRelation(OPENING, { on: "news" })).toEqual({ state: OPENING, effect: "none" });
    let { state } = stepRelation(OPENING, { on: "opened", more: true });
    state = stepRelation(state, { on: "turn" }).state;
    state = stepRelation(state, { on: "spoken", as: "last", more: false }).state;
    state = stepRelation(state, { on: "acknowledged", more: true }).state;
    expect(state).toEqual({ is: "gone" });
    expect(stepRelation(state, { on: "news" })).toEqual({ state, effect: "none" });
  });
});
