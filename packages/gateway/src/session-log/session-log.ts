import { type Clock, type Log, type SessionLog, silentLog, systemClock } from "@nomq/core";
import { createLineWriter, type LineWriter } from "./line-writer.ts";
import type { LogFolder } from "./log-folder.ts";
import { createRepeats } from "./repeats.ts";
import { type KeptEntry, keptEntry, lineOf } from "./session-line.ts";

/** The size of one file. With five kept, the log takes 50 MiB at most. */
const FILE_BYTES = 10 * 1024 * 1024;
/** Entries kept in memory. */
const MOST_RECENT = 1_000;

/** The gateway's session log: who did what and when, kept whatever the level of the log. Disposing writes what waits. */
export interface KeptSessionLog extends SessionLog, AsyncDisposable {
  /** Begins to write to the folder; what was recorded before is written too. Nothing to do without one. */
  open(): void;
  /** The last entries, oldest first; at most 1,000 are kept. */
  recent(last?: number): readonly KeptEntry[];
  /** Resolves when what was recorded is written, or cannot be. */
  flush(): Promise<void>;
}

/** Options of {@link createSessionLog}. */
export interface SessionLogOptions {
  /** Absent: kept in memory only. */
  readonly folder?: LogFolder;
  readonly clock?: Clock;
  /** Hears when the disk takes nothing. Default silent. */
  readonly log?: Log;
  /** Bytes of one file. Default 10 MiB. */
  readonly size?: number;
}

/** Makes the log; nothing is opened before `open`. */
export function createSessionLog(options: SessionLogOptions = {}): KeptSessionLog {
  const { folder, clock = systemClock, log = silentLog, size = FILE_BYTES } = options;
  const recent: KeptEntry[] = [];
  let isClosed = false;
  let writer: LineWriter | undefined;

  const keep = (entry: KeptEntry): void => {
    recent.push(entry);
    if (recent.length > 2 * MOST_RECENT) recent.splice(0, MOST_RECENT);
    writer?.add(lineOf(entry));
  };
  const say = (what: string, details: Record<string, string | number>): void =>
    keep(keptEntry({ who: "gateway", what, details }, clock.now()));
  if (folder !== undefined) {
    writer = createLineWriter({ folder, clock, log, size, lost: (entries) => say("log.lost", { entries }) });
  }
  const repeats = createRepeats({
    clock,
    repeated: (last, times) => keep({ ...last, details: { ...last.details, repeated: times } }),
    suppressed: (of, entries) => say("log.suppressed", { of, entries }),
  });

  return {
    record(entry) {
      if (isClosed) return;
      const kept = keptEntry(entry, clock.now());
      if (repeats.admit(kept)) keep(kept);
    },
    open: () => writer?.open(),
    recent: (last = MOST_RECENT) => recent.slice(Math.max(0, recent.length - Math.min(last, MOST_RECENT))),
    async flush() {
      repeats.flush();
      await writer?.flush();
    },
    async [Symbol.asyncDispose]() {
      if (isClosed) return;
      isClosed = true;
      repeats.close();
      await writer?.close();
    },
  };
}
