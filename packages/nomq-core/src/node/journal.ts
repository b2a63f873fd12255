import type { StateChange } from "../bridge.ts";
import type { CancelTimer, Clock } from "../clock.ts";
import type { Log } from "../log.ts";
import { createNoteBook, type Noted } from "../session/note-book.ts";
import type { ReplayWindows } from "../session/replay-windows.ts";

/** Keeps what replay windows noted and no message took with it, and writes it behind. */
export interface Journal {
  /** Begins to sweep old windows, once a minute. */
  start(): void;
  add(noted: Noted): void;
  /** Writes what is left; gives up on a store that does not answer within a second. */
  end(): Promise<void>;
}

/** What a journal works with. */
export interface JournalUse {
  readonly clock: Clock;
  readonly log: Log;
  readonly windows: ReplayWindows;
  readonly remember: () => ((changes: readonly StateChange[]) => Promise<void>) | undefined;
}

const FLUSH_MS = 1000;
const END_MS = 1000;
const SWEEP_MS = 60_000;
const MOST_SWEPT = 262_144;
/** Sessions written before other callbacks get their turn; of what was swept, four times as many records. */
const AT_ONCE = 512;

/** Makes a journal. */
export function createJournal(use: JournalUse): Journal {
  const notes = createNoteBook();
  let swept: readonly StateChange[] = [];
  let writing: Promise<void> | undefined;
  let flushTimer: CancelTimer | undefined;
  let sweepTimer: CancelTimer | undefined;
  let failed = false;
  let stopped = false;

  const write = async (changes: readonly StateChange[]): Promise<void> => {
    try {
      await use.remember()?.(changes);
    } catch (error) {
      if (!failed) {
        const reason = error instanceof Error ? error.message : "unknown";
        use.log.warn("replay windows could not be stored; said once", { reason });
      }
      failed = true;
    }
  };
  const writeAll = async (): Promise<void> => {
    // Notes that come meanwhile are of the next flush.
    let left = notes.size;
    for (;;) {
      const changes = [...notes.take(Math.max(0, Math.min(AT_ONCE, left))), ...swept.slice(0, 4 * AT_ONCE)];
      swept = swept.slice(4 * AT_ONCE);
      left -= AT_ONCE;
      await write(changes);
      if (left <= 0 && swept.length === 0) return;
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  const flush = async (): Promise<void> => {
    flushTimer?.();
    flushTimer = undefined;
    if (writing !== undefined || use.remember() === undefined) return;
    if (notes.size + swept.length === 0) return;
    writing = writeAll();
    await writing;
    writing = undefined;
    if (notes.size > 0) flushLater();
  };
  const flushLater = (): void => {
    if (flushTimer === undefined && !stopped) flushTimer = use.clock.after(FLUSH_MS, () => void flush());
  };
  const sweep = (): void => {
    const changes = use.windows.sweep(Math.floor(use.clock.now() / 1000));
    // What is not deleted now is found out of date at the next start.
    if (use.remember() !== undefined && swept.length < MOST_SWEPT) swept = swept.concat(changes);
  };
  const sweepLater = (): void => {
    sweepTimer = use.clock.after(SWEEP_MS, () => {
      sweep();
      void flush();
      if (!stopped) sweepLater();
    });
  };
  return {
    start: sweepLater,
    add(noted) {
      if (use.remember() === undefined) return;
      notes.add(noted);
      if (writing === undefined) flushLater();
    },
    async end() {
      stopped = true;
      flushTimer?.();
      sweepTimer?.();
      const { promise, resolve } = Promise.withResolvers<void>();
      const cancel = use.clock.after(END_MS, resolve);
      sweep();
      await Promise.race([writing, promise]);
      await Promise.race([flush(), promise]);
      cancel();
    },
  };
}
