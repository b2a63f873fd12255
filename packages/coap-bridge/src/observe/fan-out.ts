/** The row of those that have something to say: each is there at most once, and gets its turn in order. */
export interface FanOut<Item> {
  /** Its turn is in the next turn of the event loop, or sooner by {@link FanOut.run}. */
  push(item: Item): void;
  /** Gives turns now, until the row is empty or this turn of the event loop is spent. */
  run(): void;
  stop(): void;
}

/** How long it works before sockets and timers get their turn (hub.md, "Order and calls": 5 ms). */
const BUDGET_MS = 4;
/** Turns between two looks at the clock. */
const STRIDE = 16;

/** Makes an empty one; `turn` may push. `monotonic` tells when to stop for others. */
export function createFanOut<Item>(turn: (item: Item) => void, monotonic: () => number): FanOut<Item> {
  let row: Item[] = [];
  let at = 0;
  let next: NodeJS.Immediate | undefined;
  let isRunning = false;
  let isStopped = false;
  /** The last turn was spent before the row was empty: what comes now waits for its own. */
  let isBehind = false;

  const run = (): void => {
    if (isRunning || isStopped) return;
    isRunning = true;
    const until = monotonic() + BUDGET_MS;
    for (let item = row[at]; item !== undefined; item = row[at]) {
      at += 1;
      turn(item);
      if (at % STRIDE === 0 && monotonic() >= until) break;
    }
    isRunning = false;
    isBehind = at < row.length;
    if (isBehind) {
      // What has had its turn is let go, though the row never empties.
      if (at > row.length / 2) {
        row = row.slice(at);
        at = 0;
      }
      soon();
      return;
    }
    row = [];
    at = 0;
  };
  const soon = (): void => {
    if (next !== undefined || isStopped) return;
    next = setImmediate(() => {
      next = undefined;
      run();
    });
  };

  return {
    push(item) {
      row.push(item);
      soon();
    },
    run() {
      if (!isBehind) run();
    },
    stop() {
      isStopped = true;
      clearImmediate(next);
      row = [];
      at = 0;
    },
  };
}
