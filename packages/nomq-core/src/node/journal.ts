import type { StateChange } from "../bridge.ts";
import type { CancelTimer, Clock } from "../clock.ts";
import type { Log } from "../log.ts";
import { createNoteBook, type Noted } from "../session/note-book.ts";

/** Keeps what replay windows noted and no message took with it, and writes it behind. */
export interface Journal {
  /** Begins to sweep, once a minute; resolves when `first` is stored, or a store has not answered for a second. */
  start(first: readonly StateChange[]): Promise<void>;
  add(noted: Noted): void;
  /** Stores other changes soon. */
  keep(changes: readonly StateChange[]): void;
  /**
   * Writes what is left; gives up on a store that does not answer within a second. `last` is written once all else is,
   * and not where anything was ever lost.
   */
  end(last: readonly StateChange[]): Promise<void>;
}

/** What a journal works with. */
export interface JournalUse {
  readonly clock: Clock;
  readonly log: Log;
  /** What is let go of as old. */
  readonly sweep: () => readonly StateChange[];
  /** Whether there is more to let go of: other callbacks get their turn first. Default never. */
  readonly isSweeping?: () => boolean;
  readonly remember: () => ((changes: readonly StateChange[]) => Promise<void>) | undefined;
}

const FLUSH_MS = 1000;
const END_MS = 1000;
const SWEEP_MS = 60_000;
/** Between two parts of a sweep. */
const BETWEEN_MS = 20;
/** Of other changes: a store that hangs shall not fill our memory. */
const MOST_KEPT = 262_144;
/** Sessions written before other callbacks get their turn; of other changes, four times as many records. */
const AT_ONCE = 512;

/** Makes a journal. */
export function createJournal(use: JournalUse): Journal {
  const notes = createNoteBook();
  let kept: readonly StateChange[] = [];
  let writing: Promise<void> | undefined;
  let flushTimer: CancelTimer | undefined;
  let sweepTimer: CancelTimer | undefined;
  let failed = false;
  let late = false;
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
      const { size } = notes;
      const changes = [...notes.take(Math.max(0, Math.min(AT_ONCE, left))), ...kept.slice(0, 4 * AT_ONCE)];
      kept = kept.slice(4 * AT_ONCE);
      left -= size - notes.size;
      await write(changes);
      if (left <= 0 && kept.length === 0) return;
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  const flush = async (): Promise<void> => {
    flushTimer?.();
    flushTimer = undefined;
    if (writing !== undefined || use.remember() === undefined) return;
    if (notes.size + kept.length === 0) return;
    writing = writeAll();
    await writing;
    writing = undefined;
    if (notes.size + kept.length > 0) flushLater();
  };
  const flushLater = (): void => {
    if (flushTimer === undefined && !stopped) flushTimer = use.clock.after(FLUSH_MS, () => void flush());
  };
  const keep = (changes: readonly StateChange[]): void => {
    // What is not deleted now is found out of date at the next start.
    if (use.remember() !== undefined && kept.length < MOST_KEPT) kept = kept.concat(changes);
  };
  /** Waits for a store, but not for ever. */
  const patiently = async (steps: readonly (() => Promise<void> | undefined)[]): Promise<void> => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const cancel = use.clock.after(END_MS, () => {
      late = true;
      resolve();
    });
    for (const step of steps) await Promise.race([step(), promise]);
    cancel();
  };
  const sweepLater = (ms = SWEEP_MS): void => {
    sweepTimer = use.clock.after(ms, () => {
      keep(use.sweep());
      void flush();
      if (!stopped) sweepLater(use.isSweeping?.() === true ? BETWEEN_MS : SWEEP_MS);
    });
  };
  return {
    async start(first) {
      sweepLater();
      keep(first);
      if (kept.length > 0) await patiently([flush]);
    },
    add(noted) {
      if (use.remember() === undefined) return;
      notes.add(noted);
      if (writing === undefined) flushLater();
    },
    keep(changes) {
      keep(changes);
      if (kept.length > 0 && writing === undefined) flushLater();
    },
    async end(last) {
      stopped = true;
      flushTimer?.();
      sweepTimer?.();
      keep(use.sweep());
      late = false;
      await patiently([() => writing, flush]);
      if (!late && !failed && last.length > 0) await patiently([() => write(last)]);
    },
  };
}
