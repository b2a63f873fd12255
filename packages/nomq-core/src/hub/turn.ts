/** How long the hub works before other callbacks get their turn (hub.md, "Order and calls"). */
const BUDGET_MS = 5;
// The last call of a turn still runs to its end.
const STOP_AT_MS = BUDGET_MS - 1;

/**
 * One turn of the event loop. Promise continuations alone never let timers and sockets run, so work that is driven by
 * them asks here whether its turn is spent. Real time on purpose: it is the real loop that must not stall.
 */
export class Turn {
  private began = 0;
  private armed = false;
  private deferred: (() => void)[] = [];

  /** True once the hub has worked its share of this turn. */
  spent(): boolean {
    if (this.armed) return performance.now() - this.began > STOP_AT_MS;
    this.armed = true;
    this.began = performance.now();
    setImmediate(this.turned);
    return false;
  }

  /** Runs the work in the next turn. */
  defer(run: () => void): void {
    this.deferred.push(run);
    if (this.armed) return;
    this.armed = true;
    this.began = performance.now();
    setImmediate(this.turned);
  }

  /** Resolves in the next turn. */
  next(): Promise<void> {
    return new Promise((resolve) => this.defer(resolve));
  }

  private readonly turned = (): void => {
    this.armed = false;
    const due = this.deferred;
    if (due.length === 0) return;
    this.deferred = [];
    for (const run of due) run();
  };
}
