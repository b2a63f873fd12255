import type { LedgerRow } from "../../bridge.ts";
import type { Message } from "../../message.ts";
import { messageBytes } from "../lane.ts";
import { Counts } from "../ledger.ts";
import type { LedgerDelta, StoredAttachment, Write } from "../store.ts";

interface Row {
  readonly message: Message;
  attempt: number;
}

type Interest = Omit<StoredAttachment, "row" | "waiting" | "bytes">;

interface Shelf {
  interest: Interest | undefined;
  readonly counts: Counts;
  /** By `seq`, which only rises. */
  readonly rows: Map<number, Row>;
  bytes: number;
}

/** What is stored of attachments: interest, waiting rows, counts. */
export class Places {
  private readonly shelves = new Map<string, Shelf>();

  claim(interest: Interest): void {
    this.shelf(interest.name).interest = interest;
  }

  accept(name: string, message: Message): void {
    const shelf = this.shelf(name);
    shelf.rows.set(message.seq, { message, attempt: 0 });
    shelf.bytes += messageBytes(message);
    shelf.counts.accepted += 1;
  }

  opened(name: string, seq: number, attempt: number): void {
    const row = this.shelves.get(name)?.rows.get(seq);
    if (row !== undefined) row.attempt = Math.max(row.attempt, attempt);
  }

  /** Removes the row and counts its end, once. */
  settle(write: Write & { write: "outcome" }): Message | undefined {
    const shelf = this.shelves.get(write.name);
    const row = shelf?.rows.get(write.seq);
    if (shelf === undefined || row === undefined) return undefined;
    shelf.rows.delete(write.seq);
    shelf.bytes -= messageBytes(row.message);
    shelf.counts.settle(write.is, write.reason);
    return row.message;
  }

  count(name: string, add: LedgerDelta): void {
    this.shelf(name).counts.add(add);
  }

  /** Removes all of a name; answers the messages that waited for it. */
  forget(name: string): Message[] {
    const shelf = this.shelves.get(name);
    this.shelves.delete(name);
    return [...(shelf?.rows.values() ?? [])].map((row) => row.message);
  }

  waiting(name: string, afterSeq: number, limit: number): Row[] {
    const found: Row[] = [];
    for (const row of this.shelves.get(name)?.rows.values() ?? []) {
      if (row.message.seq <= afterSeq) continue;
      if (found.length >= limit) break;
      found.push({ ...row });
    }
    return found;
  }

  stored(): StoredAttachment[] {
    const found: StoredAttachment[] = [];
    for (const shelf of this.shelves.values()) {
      if (shelf.interest === undefined) continue;
      const waiting = shelf.rows.size;
      found.push({ ...shelf.interest, row: shelf.counts.row(waiting), waiting, bytes: shelf.bytes });
    }
    return found;
  }

  /** Counts of names without interest. */
  rows(): (readonly [name: string, row: LedgerRow])[] {
    const found: (readonly [string, LedgerRow])[] = [];
    for (const [name, shelf] of this.shelves)
      if (shelf.interest === undefined) found.push([name, shelf.counts.row(0)]);
    return found;
  }

  private shelf(name: string): Shelf {
    let shelf = this.shelves.get(name);
    if (shelf === undefined) {
      shelf = { interest: undefined, counts: new Counts(), rows: new Map(), bytes: 0 };
      this.shelves.set(name, shelf);
    }
    return shelf;
  }
}
