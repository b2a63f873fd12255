import type { CancelTimer, Clock } from "@nomq/core";
import { type KeptEntry, sameness } from "./session-line.ts";

/** How long equal entries are one. */
const SPAN_MS = 10_000;
/** Entries of one `what` in a span; what differs beyond that is counted. */
const MOST_OF_A_KIND = 500;

/** Turns floods into counts, so that nobody can push out the past by doing one thing very often. */
export interface Repeats {
  /** Whether the entry is to be written now; otherwise it is counted and said at the end of the span. */
  admit(entry: KeptEntry): boolean;
  /** Says what is counted, now. */
  flush(): void;
  /** As `flush`, and no timer stays behind. */
  close(): void;
}

/** What the counts are said with. */
export interface RepeatsUse {
  readonly clock: Clock;
  /** The last of the equal entries, with `details.repeated`: how many came after the one that was written. */
  repeated(last: KeptEntry, times: number): void;
  /** Entries of a kind that were not written one by one. */
  suppressed(what: string, entries: number): void;
}

interface Kind {
  /** Equal entries: the last one, and how often it came after it was written. */
  readonly same: Map<string, { last: KeptEntry; times: number }>;
  suppressed: number;
}

/** Makes the counter. It holds at most 500 entries of each `what`, which are a fixed set of words. */
export function createRepeats({ clock, repeated, suppressed }: RepeatsUse): Repeats {
  const kinds = new Map<string, Kind>();
  let cancel: CancelTimer | undefined;

  const flush = (): void => {
    cancel?.();
    cancel = undefined;
    for (const [what, kind] of kinds) {
      for (const { last, times } of kind.same.values()) if (times > 0) repeated(last, times);
      if (kind.suppressed > 0) suppressed(what, kind.suppressed);
    }
    kinds.clear();
  };
  const kindOf = (what: string): Kind => {
    const kind = kinds.get(what) ?? { same: new Map(), suppressed: 0 };
    kinds.set(what, kind);
    return kind;
  };

  return {
    admit(entry) {
      cancel ??= clock.after(SPAN_MS, flush);
      const kind = kindOf(entry.what);
      const key = sameness(entry);
      const before = kind.same.get(key);
      if (before !== undefined) {
        before.last = entry;
        before.times += 1;
        return false;
      }
      if (kind.same.size >= MOST_OF_A_KIND) {
        kind.suppressed += 1;
        return false;
      }
      kind.same.set(key, { last: entry, times: 0 });
      return true;
    },
    flush,
    close: flush,
  };
}
