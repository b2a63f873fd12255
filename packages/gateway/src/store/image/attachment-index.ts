import type { LedgerDelta, LedgerRow, StoredAttachment } from "@nomq/core";
import type { End } from "../layout/receipts.ts";
import type { Interest, Tally } from "../layout/records.ts";

/** What is known of one attachment without reading its rows. */
export interface KnownAttachment extends Tally {
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
export class AttachmentIndex {
  private readonly byName = new Map<string, KnownAttachment>();
  private readonly byPlace = new Map<number, KnownAttachment>();

  get(name: string): KnownAttachment | undefined {
    return this.byName.get(name);
  }

  at(place: number): KnownAttachment | undefined {
    return this.byPlace.get(place);
  }

  add(name: string, place: number, tally: Tally = emptyTally()): KnownAttachment {
    const attachment: KnownAttachment = { ...tally, name, place, interest: undefined, removed: 0 };
    this.byName.set(name, attachment);
    this.byPlace.set(place, attachment);
    return attachment;
  }

  remove(attachment: KnownAttachment): void {
    this.byName.delete(attachment.name);
    this.byPlace.delete(attachment.place);
  }

  all(): Iterable<KnownAttachment> {
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

export function accept(attachment: KnownAttachment, row: { seq: number; bytes: number }): void {
  // A cursor may lag, never lead.
  if (attachment.waiting === 0 || row.seq < attachment.cursor) attachment.cursor = row.seq;
  attachment.waiting += 1;
  attachment.bytes += row.bytes;
  count(attachment, { accepted: 1 });
}

/** A row is gone; what it counts as is said elsewhere. */
export function remove(attachment: KnownAttachment, row: { seq: number; bytes: number }): void {
  attachment.waiting -= 1;
  attachment.bytes = attachment.waiting === 0 ? 0 : Math.max(0, attachment.bytes - row.bytes);
  attachment.removed += 1;
  if (row.seq === attachment.cursor) attachment.cursor = row.seq + 1;
}

export function settle(attachment: KnownAttachment, end: End): void {
  count(attachment, end.is === "dropped" ? { dropped: { [end.reason ?? UNSAID]: 1 } } : { [end.is]: 1 });
}

export function count(attachment: KnownAttachment, add: LedgerDelta): void {
  const { row } = attachment;
  const dropped = add.dropped === undefined ? row.dropped : new Map(Object.entries(row.dropped));
  if (dropped instanceof Map)
    for (const [reason, by] of Object.entries(add.dropped ?? {}))
      dropped.set(reason, (dropped.get(reason) ?? 0) + by);
  attachment.row = {
    accepted: row.accepted + (add.accepted ?? 0),
    delivered: row.delivered + (add.delivered ?? 0),
    expired: row.expired + (add.expired ?? 0),
    refused: row.refused + (add.refused ?? 0),
    uncertain: row.uncertain + (add.uncertain ?? 0),
    dropped: dropped instanceof Map ? Object.fromEntries(dropped) : dropped,
    pending: 0,
  };
}
