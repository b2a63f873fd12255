/** Writes that nobody waits for, unless they say so: what was noted while one is open is all in the next. */
export interface WriteBehind {
  /** Something is noted: it goes with the next write. */
  begin(): void;
  /** Resolves when all that was noted so far is written, rejects when it will not be; undefined: it is already. */
  written(): Promise<void> | undefined;
}

/** Options of {@link createWriteBehind}. */
export interface WriteBehindOptions {
  /** Takes what is noted, before it first waits, and writes it. One call at a time; a rejection is told to those who wait. */
  readonly write: () => Promise<void>;
  /** Turns of the event loop that a write waits for more to be noted. Default 1. */
  readonly turns?: number;
}

/** Makes one at rest. */
export function createWriteBehind({ write, turns = 1 }: WriteBehindOptions): WriteBehind {
  /** The write under way, and the one that takes what is noted meanwhile. */
  let running: Promise<void> | undefined;
  let next: Promise<void> | undefined;

  const writeNext = async (): Promise<void> => {
    const before = running;
    for (let turn = 0; turn < turns; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    // Whoever waited for it has been told; what comes now is another's.
    await before?.catch(() => undefined);
    running = next;
    next = undefined;
    await write();
  };
  return {
    begin() {
      if (next !== undefined) return;
      const mine = writeNext();
      next = mine;
      mine
        .catch(() => undefined)
        .finally(() => {
          if (running === mine) running = undefined;
        });
    },
    written: () => next ?? running,
  };
}
