/** Why a connection ends. */
export interface Ending {
  /** The first reason is kept. */
  endsFor(reason: string): void;
  /** `disconnect`: the client said so. `connection-lost`: it did not. `closed`: by us; else why it was cut. */
  endReason(): string;
}

/** Makes one that has no reason yet. */
export function createEnding(): Ending {
  let first: string | undefined;
  return {
    endsFor(reason) {
      first ??= reason;
    },
    endReason: () => first ?? "closed",
  };
}
