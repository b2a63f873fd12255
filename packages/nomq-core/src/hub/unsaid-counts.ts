import type { CancelTimer, Clock } from "../clock.ts";
import { Counts } from "./ledger.ts";
import { deltaOf } from "./place.ts";
import type { Write } from "./store.ts";

const EVERY_MS = 1_000;
const NONE: readonly Write[] = [];

/** Who remembers its counts, so that the name is not looked up for each message. */
interface Counting {
  readonly name: string;
  unsaid: { readonly counts: Counts; readonly round: number } | undefined;
}

/** Counts of names that the store has not heard of: they go with the next batch, alone after a second. */
export class UnsaidCounts {
  private readonly byName = new Map<string, Counts>();
  private readonly clock: Clock;
  private readonly due: () => void;
  private timer: CancelTimer | undefined;
  private isStopped = false;
  /** Another whenever something is given up. */
  private round = 0;

  /** `due` is called when they have waited long enough. */
  constructor(clock: Clock, due: () => void) {
    this.clock = clock;
    this.due = due;
  }

  get size(): number {
    return this.byName.size;
  }

  get isDue(): boolean {
    return this.size > 0 && this.timer === undefined;
  }

  of(name: string): Counts {
    let counts = this.byName.get(name);
    if (counts === undefined) {
      counts = new Counts();
      this.byName.set(name, counts);
      if (this.isStopped) return counts;
      this.timer ??= this.clock.after(EVERY_MS, () => {
        this.timer = undefined;
        this.due();
      });
    }
    return counts;
  }

  for(place: Counting): Counts {
    const { unsaid } = place;
    if (unsaid?.round === this.round) return unsaid.counts;
    const counts = this.of(place.name);
    place.unsaid = { counts, round: this.round };
    return counts;
  }

  drop(name: string): void {
    this.byName.delete(name);
    this.round += 1;
  }

  /** All that is unsaid, to be said now. */
  take(): readonly Write[] {
    if (this.byName.size === 0) return NONE;
    const writes = [...this.byName].map(
      ([name, counts]): Write => ({ write: "count", name, add: deltaOf(counts) }),
    );
    this.byName.clear();
    this.round += 1;
    this.timer?.();
    this.timer = undefined;
    return writes;
  }

  stop(): void {
    this.isStopped = true;
    this.timer?.();
  }
}
