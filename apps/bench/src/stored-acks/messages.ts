/** How late an event loop was, milliseconds between ticks a millisecond apart; and what its process worked. */
export interface Load {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
  /** Milliseconds that the loop itself worked in its longest turn: the rest of a delay is the machine's. */
  readonly longest: number;
  /** Microseconds of processor time, of all threads. */
  readonly cpu: number;
}

/** What a measured process is told. */
export type ToMeasured = { readonly is: "begin" } | { readonly is: "end" };

/** What it answers. */
export type FromMeasured =
  | { readonly is: "ready"; readonly nomqPort: number; readonly mqttPort: number }
  | { readonly is: "recovered" }
  | ({ readonly is: "load" } & Load);
