import type { Message } from "@nomq/core";
import type { LevelBatch } from "../disk/level.ts";
import type { KnownAttachment } from "../image/attachment-index.ts";
import {
  bucketOf,
  type End,
  type ReceiptHead,
  type ReceiptPage,
  receiptKey,
  seqOfId,
  writeReceipts,
} from "../layout/receipts.ts";

interface Page extends ReceiptPage {
  readonly heads: ReceiptHead[];
  readonly ends: ReceiptPage["ends"][number][];
  readonly names: Map<number, string>;
}

/** The receipts of one flush: a page for each bucket. */
export class ReceiptPages {
  private readonly pages = new Map<number, Page>();
  private readonly now: number;

  constructor(now: number) {
    this.now = now;
  }

  /** Opens a receipt; false when the id is none that a receipt can be found by. */
  open(message: Message, attachments: readonly KnownAttachment[]): boolean {
    const { seq, id, channel, publishedAt } = message;
    if (seqOfId(id) !== seq) return false;
    const { heads, names } = this.page(seq);
    for (const { place, name } of attachments) names.set(place, name);
    heads.push({ seq, id, channel, publishedAt, to: attachments.map(({ place }) => place) });
    return true;
  }

  end({ seq, place }: { readonly seq: number; readonly place: number }, { is, reason, at }: End): void {
    const said = reason === undefined ? {} : { reason };
    this.page(seq).ends.push({ seq, place, is, ...said, at });
  }

  put(batch: LevelBatch, commit: number): void {
    for (const [bucket, page] of this.pages) {
      const key = receiptKey(bucket, commit);
      batch.put(key, writeReceipts(key, page));
    }
  }

  private page(seq: number): Page {
    const bucket = bucketOf(seq);
    let page = this.pages.get(bucket);
    if (page === undefined) {
      page = { at: this.now, heads: [], ends: [], names: new Map() };
      this.pages.set(bucket, page);
    }
    return page;
  }
}
