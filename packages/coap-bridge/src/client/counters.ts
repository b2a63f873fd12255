import { createTally, type Tally } from "@nomq/core";
import type { Freshness } from "./sensor-state.ts";

/** What came of the client's sensors and actuators so far; bridges show it as metrics. */
export interface ClientCounts {
  readonly sensors: Readonly<Record<Freshness, number>>;
  /** Values handed to the hub. */
  readonly values: number;
  /** Registrations and readings begun. */
  readonly requests: number;
  /** Answers and values not taken, by reason (docs/errors.md): `old`, `superseded`, `by-hub`, `changing`, … */
  readonly refused: Readonly<Record<string, number>>;
  /** Writes to actuators by what came of them: `delivered`, `refused`, `retry`, `uncertain`. */
  readonly writes: Readonly<Record<string, number>>;
}

/** What sensors and actuators count together. */
export interface ClientTallies {
  readonly values: Tally;
  readonly requests: Tally;
  readonly refused: Tally;
  readonly writes: Tally;
}

/** Makes all of them. */
export function createClientTallies(): ClientTallies {
  return {
    values: createTally(),
    requests: createTally(),
    refused: createTally(),
    writes: createTally(),
  };
}
