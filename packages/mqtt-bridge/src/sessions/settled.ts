/** The part of a promise that aedes uses of what its persistence returns. */
export interface Settled<T> {
  then(fulfilled: (value: T) => void): void;
}

/**
 * A value that is there at once. aedes publishes in steps and waits for each; were one of them a promise, messages
 * of one client would overtake one another between the steps, and a client drops what comes out of turn.
 */
export function settled<T>(value: T): Settled<T> {
  return {
    // biome-ignore lint/suspicious/noThenProperty: aedes calls `then`; a promise would answer too late.
    then: (fulfilled) => fulfilled(value),
  };
}
