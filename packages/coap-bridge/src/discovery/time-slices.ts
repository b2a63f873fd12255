/** Work may take so long of one turn of the event loop, in ms; what has begun still runs to its end. */
const SLICE_MS = 2;

/** Shares the event loop between long pieces of work: one at a time, each for a slice, in the order they came. */
export interface TimeSlices {
  /** Resolves when it is the caller's turn, which ends at {@link leave} or {@link rest}. */
  enter(): Promise<void>;
  /** Whether the slice is used up. */
  spent(): boolean;
  /** Lets others go on, the event loop and whoever waits, and resolves at the caller's next turn. */
  rest(): Promise<void>;
  leave(): void;
}

/** Makes them. Real time on purpose: it is the real loop that must not stall. */
export function createTimeSlices(): TimeSlices {
  const waiting: (() => void)[] = [];
  let taken = false;
  let began = 0;

  const begin = (): void => {
    taken = true;
    began = performance.now();
  };
  const leave = (): void => {
    taken = false;
    const next = waiting.shift();
    if (next === undefined) return;
    taken = true;
    // Not in this turn of the loop: sockets and timers come first.
    setImmediate(() => {
      begin();
      next();
    });
  };
  const enter = (): Promise<void> => {
    if (taken) return new Promise((resolve) => waiting.push(resolve));
    begin();
    return Promise.resolve();
  };
  return {
    enter,
    spent: () => performance.now() - began > SLICE_MS,
    rest() {
      const turn = new Promise<void>((resolve) => waiting.push(resolve));
      leave();
      return turn;
    },
    leave,
  };
}
