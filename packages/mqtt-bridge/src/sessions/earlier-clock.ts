import type { Clock, Port } from "@nomq/core";

/** A clock that reads what an earlier run wrote down as that run meant it. */
export interface EarlierClock {
  readonly clock: Clock;
  /** All is read: from now on it is the port's clock. Who watches it sees that it was set, and writes anew. */
  end(): void;
}

/** Makes one; where the wall clock was not set in between it is the port's from the start. */
export function createEarlierClock(port: Port): EarlierClock {
  let ahead = port.clockSetBy();
  if (ahead === 0) return { clock: port.clock, end: () => undefined };
  const { clock } = port;
  return {
    clock: {
      now: () => clock.now() - ahead,
      monotonic: () => clock.monotonic(),
      after: (ms, run) => clock.after(ms, run),
    },
    end() {
      ahead = 0;
    },
  };
}
