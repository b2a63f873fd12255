/** What is asked, and of whom. */
export type Ask = "get" | "put" | "echo";

/** The benchmark to the generator: so many requests to that port. */
export interface Load {
  readonly port: number;
  readonly ask: Ask;
  readonly requests: number;
}

/** The generator to the benchmark, when all are answered. */
export interface Loaded {
  readonly seconds: number;
  /** Answers with another code than that of success. */
  readonly wrong: number;
}

/** The benchmark to the crowd of observers. */
export type ToCrowd =
  /** Registers so many observers, each with a socket of its own, for CON or NON notifications. */
  | {
      readonly is: "register";
      readonly port: number;
      readonly observers: number;
      readonly confirmable: boolean;
    }
  /** Publishes values, one after the other, each when all have had the one before. */
  | { readonly is: "publish"; readonly times: number }
  /** Leaves without a word. */
  | { readonly is: "leave" };

/** The crowd to the benchmark, after each of the above. */
export interface FromCrowd {
  /** Observers, or notifications that came. */
  readonly count: number;
  /** Milliseconds from a publish to its last notification, the middle one of all; 0 for the others. */
  readonly ms: number;
}
