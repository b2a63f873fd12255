import { createWriteBehind, type StateChange } from "@nomq/core";

/** Something that is to last: its key, and its value whenever it is written. */
export interface JournalRecord {
  readonly key: Uint8Array;
  /** What it is now; undefined: it is gone. */
  value(): Uint8Array | undefined;
  /** It has been handed to the store, so that its end must be too. */
  isWritten: boolean;
}

/**
 * Writes the sessions' records behind: nothing here waits for a store, and what was noted in one turn of the event loop
 * is one write. Who must not go on before waits for {@link SessionJournal.stored}.
 */
export interface SessionJournal {
  /** The record has changed. It is written as it is then. */
  note(record: JournalRecord): void;
  /** Resolves when all that was noted so far is stored, rejects when it will not be; undefined: it is already. */
  stored(): Promise<void> | undefined;
  /** The records that begin while `run` runs, for the commit of somebody else. */
  gather(run: () => void): StateChange[];
}

/** Changes of one write: more would hold up the event loop. */
const MOST_CHANGES = 2_000;

/** Makes a journal; `remember` stores all of a write or nothing of it. */
export function createSessionJournal(
  remember: (changes: readonly StateChange[]) => Promise<void>,
): SessionJournal {
  let dirty = new Set<JournalRecord>();
  let isGathering = false;

  const write = async (): Promise<void> => {
    const records = dirty;
    dirty = new Set();
    let changes: StateChange[] = [];
    for (const record of records) {
      const change = changeOf(record);
      if (change !== undefined) changes.push(change);
      if (changes.length < MOST_CHANGES) continue;
      await remember(changes);
      changes = [];
    }
    if (changes.length > 0) await remember(changes);
  };
  // Two turns: a message that is sent on gets its packet id in the next, and both are one record.
  const behind = createWriteBehind({ write, turns: 2 });
  const begin = (): void => {
    if (!isGathering) behind.begin();
  };

  return {
    note(record) {
      dirty.add(record);
      begin();
    },
    stored: behind.written,
    gather(run) {
      const outer = dirty;
      const mine = new Set<JournalRecord>();
      dirty = mine;
      isGathering = true;
      try {
        run();
      } finally {
        dirty = outer;
        isGathering = false;
      }
      const changes: StateChange[] = [];
      for (const record of mine) {
        // Only what begins here: what another write may still carry must not be overtaken.
        const isNew = !record.isWritten && !outer.has(record);
        const change = isNew ? changeOf(record) : undefined;
        if (change !== undefined) changes.push(change);
        else if (!isNew) outer.add(record);
      }
      if (outer.size > 0) begin();
      return changes;
    },
  };
}

/** Undefined for what has come and gone unwritten. */
function changeOf(record: JournalRecord): StateChange | undefined {
  const value = record.value();
  if (value === undefined && !record.isWritten) return undefined;
  record.isWritten = value !== undefined;
  return value === undefined ? { key: record.key } : { key: record.key, value };
}
