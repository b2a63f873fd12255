import type { LedgerDelta, LedgerRow, StoredAttachment } from "@nomq/core";
import type { End, Interest, Tally } from "./records.ts";

/** What is known of one attachment without reading its rows. */
export interface Shelf extends Tally {
  readonly place: number;
  readonly name: string;
  interest: Interest | undefined;
  /** Rows removed since its range was last compacted. */
  removed: number;
}

const NOTHING: LedgerRow = {
  accepted: 0,
  delivered: 0,
  expired: 0,
  dropped: {},
  refused: 0,
  uncertain: 0,
  pending: 0,
};
/** The reason of a drop that gave none, as the hub counts it. */
const UNSAID = "overflow";

const emptyTally = (): Tally => ({ row: NOTHING, waiting: 0, bytes: 0, cursor: 0 });

/** The attachments, by name and by number. */
export class Shelves {
  private readonly byName = new Map<string, Shelf>();
  private readonly byPlace = new Map<number, Shelf>();

  get(name: string): Shelf | undefined {
    return this.byName.get(name);
  }

  at(place: number): Shelf | undefined {
    return this.byPlace.get(place);
  }

  add(name: string, place: number, tally: Tally = emptyTally()): Shelf {
    const shelf: Shelf = { ...tally, name, place, interest: undefined, removed: 0 };
    this.byName.set(name, shelf);
    this.byPlace.set(place, shelf);
    return shelf;
  }

  remove(shelf: Shelf): void {
    this.byName.delete(shelf.name);
    this.byPlace.delete(shelf.place);
  }

  all(): Iterable<Shelf> {
    return this.byName.values();
  }

  /** Those with interest, as the hub reads them at the start. */
  stored(): StoredAttachment[] {
    const found: StoredAttachment[] = [];
    for (const { interest, row, waiting, bytes } of this.all())
      if (interest !== undefined)
        found.push({ ...interest, row: { ...row, pending: waiting }, waiting, bytes });
    return found;
  }

  /** Counts of names without interest. */
  rows(): (readonly [name: string, row: LedgerRow])[] {
    const found: (readonly [string, LedgerRow])[] = [];
    for (const { interest, name, row } of this.all()) if (interest === undefined) found.push([name, row]);
    return found;
  }
}

export function accept(shelf: Shelf, row: { seq: number; bytes: number }): void {
  // A cursor may lag, never lead.
  if (shelf.waiting === 0 || row.seq < shelf.cursor) shelf.cursor = row.seq;
  shelf.waiting += 1;
  shelf.bytes += row.bytes;
  count(shelf, { accepted: 1 });
}

/** A row is gone; what it counts as is said elsewhere. */
export function remove(shelf: Shelf, row: { seq: number; bytes: number }): void {
  shelf.waiting -= 1;
  shelf.bytes = shelf.waiting === 0 ? 0 : Math.max(0, shelf.bytes - row.bytes);
  shelf.removed += 1;
  if (row.seq === shelf.cursor) shelf.cursor = row.seq + 1;
}

export function settle(shelf: Shelf, end: End): void {
  count(shelf, end.is === "dropped" ? { dropped: { [end.reason ?? UNSAID]: 1 } } : { [end.is]: 1 });
}

export function count(shelf: Shelf, add: LedgerDelta): void {
  const { row } = shelf;
  const dropped = add.dropped === undefined ? row.dropped : new Map(Object.entries(row.dropped));
  if (dropped instanceof Map)
    for (const [reason, by] of Object.entries(add.dropped ?? {}))
      dropped.set(reason, (dropped.get(reason) ?? 0) + by);
  shelf.row = {
    accepted: row.accepted + (add.accepted ?? 0),
    delivered: row.delivered + (add.delivered ?? 0),
    expired: row.expired + (add.expired ?? 0),
    refused: row.refused + (add.refused ?? 0),
    uncertain: row.uncertain + (add.uncertain ?? 0),
    dropped: dropped instanceof Map ? Object.fromEntries(dropped) : dropped,
    pending: 0,
  };
}
