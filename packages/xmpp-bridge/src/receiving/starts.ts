import { createTurns } from "../nodes/turns.ts";
import type { Place } from "./place.ts";

/** So many are begun before it is asked how long that has taken. */
const AT_ONCE = 32;

/** What beginning needs. */
export interface StartsOptions {
  begin(place: Place): void;
  /** Resolves when those that have been begun need not wait. Never rejects. */
  ready(): Promise<void>;
}

/** Begins the work on places: ten thousand of them at once, in a new session, would take one long turn. */
export interface Starts {
  /** Begins it at once, or in its turn. */
  add(place: Place): void;
  /** Resolves when none waits. */
  rest(): Promise<void>;
}

/** Makes it. */
export function createStarts({ begin, ready }: StartsOptions): Starts {
  const waiting = new Set<Place>();
  let beginning = Promise.resolve();
  let isBeginning = false;
  let begun = 0;

  const beginAll = async (): Promise<void> => {
    isBeginning = true;
    const turn = createTurns();
    for (const place of waiting) {
      if (begun === AT_ONCE) {
        begun = 0;
        // All that have been begun would go on in the turn in which that is resolved.
        await ready();
        await turn();
      }
      begun += 1;
      waiting.delete(place);
      begin(place);
    }
    isBeginning = false;
  };
  return {
    add(place) {
      waiting.add(place);
      if (!isBeginning) beginning = beginAll();
    },
    rest: () => beginning,
  };
}
