import type { Entry } from "./lane.ts";

interface Row {
  oldest: Entry | undefined;
  newest: Entry | undefined;
}

const PRIORITIES = 16;

/**
 * Who goes first from a full outbox: QoS 0, then the lowest priority, then the oldest (hub.md, "Receipts, admission,
 * ledger"). Entries with an open call are not in it. A scan of 10,000 would cost 162 µs.
 */
export class Victims {
  // QoS 0 by priority, then the others by priority; each row in order of `seq`.
  private readonly rows: (Row | undefined)[] = [];

  add(entry: Entry): void {
    const row = this.rowOf(entry);
    // Nearly always the newest; a message that waits again is nearly the oldest.
    if (row.oldest !== undefined && entry.message.seq < row.oldest.message.seq) {
      this.link(row, entry, undefined);
      return;
    }
    let older = row.newest;
    while (older !== undefined && older.message.seq > entry.message.seq) older = older.older;
    this.link(row, entry, older);
  }

  remove(entry: Entry): void {
    const row = this.rowOf(entry);
    if (entry.older === undefined) row.oldest = entry.newer;
    else entry.older.newer = entry.newer;
    if (entry.newer === undefined) row.newest = entry.older;
    else entry.newer.older = entry.older;
    entry.older = undefined;
    entry.newer = undefined;
  }

  first(): Entry | undefined {
    for (const row of this.rows) if (row?.oldest !== undefined) return row.oldest;
    return undefined;
  }

  private link(row: Row, entry: Entry, older: Entry | undefined): void {
    entry.older = older;
    entry.newer = older === undefined ? row.oldest : older.newer;
    if (entry.newer === undefined) row.newest = entry;
    else entry.newer.older = entry;
    if (older === undefined) row.oldest = entry;
    else older.newer = entry;
  }

  private rowOf(entry: Entry): Row {
    const at = entry.message.priority + (entry.message.qos === 0 ? 0 : PRIORITIES);
    const found = this.rows[at];
    if (found !== undefined) return found;
    while (this.rows.length < 2 * PRIORITIES) this.rows.push(undefined);
    const row: Row = { oldest: undefined, newest: undefined };
    this.rows[at] = row;
    return row;
  }
}
