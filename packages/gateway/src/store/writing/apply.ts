import { type Message, messageBytes, type Write } from "@nomq/core";
import type { LevelBatch } from "../disk/level.ts";
import { accept, count, type KnownAttachment, remove, settle } from "../image/attachment-index.ts";
import { nextCommit } from "../image/commits.ts";
import type { Gone } from "../image/history-index.ts";
import type { Image } from "../image/image.ts";
import {
  agingKey,
  bodyKey,
  doomedKey,
  dueKey,
  historyKey,
  metaKey,
  nameKey,
  onceKey,
  placeKey,
  retainedKey,
  rowKey,
  stateKey,
  tombstoneKey,
} from "../layout/keys.ts";
import { bucketOf, type End } from "../layout/receipts.ts";
import {
  writeInterest,
  writeList,
  writeMessage,
  writeNumber,
  writeOnce,
  writeRow,
  writeTally,
} from "../layout/records.ts";
import { LastStates } from "./last-states.ts";
import { ReceiptPages } from "./receipt-pages.ts";

type Kind<W extends Write["write"]> = Write & { write: W };

/** One flush being built: the image is changed and the batch filled in step. */
export class Flush {
  readonly image: Image;
  readonly batch: LevelBatch;
  readonly now: number;
  private readonly number: number;
  private readonly dirty = new Set<KnownAttachment>();
  private readonly receipts: ReceiptPages;
  private readonly states = new LastStates();
  private readonly onces: string[] = [];
  private highest: number;
  private receiptCount: number;
  private readonly writers: { [W in Write["write"]]: (write: Kind<W>) => void } = {
    message: (write) => this.message(write),
    interest: ({ stored }) => this.interest(stored),
    forget: (write) => this.forget(write),
    open: (write) => this.opened(write),
    outcome: (write) => this.outcome(write),
    count: ({ name, add }) => count(this.touch(this.attachment(name)), add),
    release: ({ once }) => this.batch.del(onceKey(once)),
    seq: ({ seq }) => this.raise(seq),
    state: (write) => this.state(write),
  };

  constructor(image: Image, batch: LevelBatch, now: number) {
    this.image = image;
    this.batch = batch;
    this.now = now;
    this.receipts = new ReceiptPages(now);
    this.number = image.commit.number + 1;
    this.highest = image.commit.highest;
    this.receiptCount = image.commit.receipts;
  }

  apply(write: Write): void {
    // The table has the writer of each kind under its name; the compiler cannot follow a union through it.
    (this.writers[write.write] as (write: Write) => void)(write);
  }

  /** The first number the next run may use, besides those above the highest used. */
  start(seq: number): void {
    this.image.nextStart = seq;
    const key = metaKey("start");
    this.batch.put(key, writeNumber(key, seq));
  }

  raise(seq: number): void {
    this.highest = Math.max(this.highest, seq);
  }

  touch(attachment: KnownAttachment): KnownAttachment {
    this.dirty.add(attachment);
    return attachment;
  }

  /** Receipts were put, or with a negative number removed. */
  countReceipts(by: number): void {
    this.receiptCount += by;
  }

  /** One reference to a body less. */
  release(seq: number): void {
    if (this.image.references.release(seq)) this.batch.del(bodyKey(seq));
  }

  /** Notes the outcome in the receipt, as long as that is kept. */
  end(at: { seq: number; place: number }, end: End): void {
    if (bucketOf(at.seq) >= this.image.oldestReceipts) this.receipts.end(at, end);
  }

  /** Removes the row of an attachment that goes on. */
  removeRow(attachment: KnownAttachment, row: { seq: number; bytes: number }): void {
    this.batch.del(rowKey(attachment.place, row.seq));
    this.image.recents.remove({ seq: row.seq, place: attachment.place });
    remove(this.touch(attachment), row);
    this.release(row.seq);
  }

  /** What histories keep no longer. */
  trim(gone: readonly Gone[]): void {
    for (const { channel, seq } of gone) {
      this.batch.del(historyKey(channel, seq));
      this.release(seq);
    }
  }

  setRetained(message: Message): void {
    const { channel, expiresAt } = message;
    const key = retainedKey(channel);
    this.batch.put(key, writeMessage(key, message));
    this.batch.del(tombstoneKey(channel));
    this.image.retained.set(channel);
    if (expiresAt !== undefined) this.batch.put(dueKey(expiresAt, channel), Buffer.alloc(0));
  }

  /** Leaves a tombstone, so that a peer that was away is told. */
  clearRetained(message: Message): void {
    const key = tombstoneKey(message.channel);
    this.batch.put(key, writeMessage(key, { ...message, payload: new Uint8Array() }));
    this.batch.del(retainedKey(message.channel));
    const oldest = this.image.retained.bury(message.channel);
    if (oldest !== undefined) this.batch.del(tombstoneKey(oldest));
  }

  /** Puts what stands for the whole flush; false when there is nothing to write. */
  finish(): boolean {
    const { image, batch, number } = this;
    this.receipts.put(batch, number);
    this.states.put(batch);
    const isEmpty = batch.length === 0 && this.dirty.size === 0 && this.highest === image.commit.highest;
    if (isEmpty && this.receiptCount === image.commit.receipts) return false;
    for (const attachment of this.dirty) {
      const key = placeKey(attachment.place, "counts");
      batch.put(key, writeTally(key, attachment));
    }
    if (this.onces.length > 0) {
      const key = agingKey(this.now, number);
      batch.put(key, writeList(key, this.onces));
    }
    const { highest, receiptCount: receipts } = this;
    image.commit = { number, highest, receipts, operations: batch.length };
    nextCommit(batch, image.commit);
    return true;
  }

  private message({ message, to, once }: Kind<"message">): void {
    const { seq } = message;
    this.raise(seq);
    const attachments = to.map((name) => this.touch(this.attachment(name)));
    const isKept = (message.qos > 0 || message.retain) && this.image.history.keeps(message.channel);
    const references = attachments.length + (isKept ? 1 : 0);
    if (references > 0) {
      const key = bodyKey(seq);
      this.batch.put(key, writeMessage(key, message));
      this.image.references.add(seq, references);
    }
    this.rows(message, attachments);
    if (this.receipts.open(message, attachments)) this.receiptCount += 1;
    if (message.retain && message.payload.byteLength > 0) this.setRetained(message);
    else if (message.retain) this.clearRetained(message);
    if (isKept) this.remember(message);
    if (once === undefined) return;
    const key = onceKey(once);
    this.batch.put(key, writeOnce(key, { id: message.id, seq, commit: this.number }));
    this.onces.push(once);
  }

  private rows(message: Message, attachments: readonly KnownAttachment[]): void {
    const { seq } = message;
    const bytes = messageBytes(message);
    for (const attachment of attachments) {
      const key = rowKey(attachment.place, seq);
      this.batch.put(key, writeRow(key, { bytes, attempt: 0 }));
      this.image.recents.add({ seq, place: attachment.place }, bytes);
      accept(attachment, { seq, bytes });
    }
  }

  private remember({ channel, seq, publishedAt: at }: Message): void {
    const key = historyKey(channel, seq);
    this.batch.put(key, writeNumber(key, at));
    this.trim(this.image.history.add(channel, { seq, at }, this.now));
  }

  private interest(stored: Kind<"interest">["stored"]): void {
    const attachment = this.touch(this.attachment(stored.name));
    attachment.interest = stored;
    const key = placeKey(attachment.place, "interest");
    this.batch.put(key, writeInterest(key, stored));
  }

  private opened({ name, seq, attempt }: Kind<"open">): void {
    const { recents, attachments } = this.image;
    const attachment = attachments.get(name);
    const found = attachment && recents.find({ seq, place: attachment.place });
    if (attachment === undefined || found === undefined || attempt <= found.attempt) return;
    const row = { ...found, attempt };
    const key = rowKey(attachment.place, seq);
    this.batch.put(key, writeRow(key, row));
    recents.setAttempt({ seq, place: attachment.place }, row);
  }

  private outcome(write: Kind<"outcome">): void {
    const { name, seq } = write;
    const attachment = this.image.attachments.get(name);
    const found = attachment && this.image.recents.find({ seq, place: attachment.place });
    if (attachment === undefined || found === undefined) return;
    this.removeRow(attachment, { seq, bytes: found.bytes });
    settle(attachment, write);
    this.end({ seq, place: attachment.place }, write);
  }

  /** The rows go later, page by page; a new attachment of that name has another number. */
  private forget({ name, at }: Kind<"forget">): void {
    const attachment = this.image.attachments.get(name);
    if (attachment === undefined) return;
    const { place } = attachment;
    this.image.attachments.remove(attachment);
    this.dirty.delete(attachment);
    this.batch.del(nameKey("attachment", name));
    this.batch.del(placeKey(place, "interest"));
    this.batch.del(placeKey(place, "counts"));
    if (attachment.waiting === 0) return;
    const key = doomedKey(place);
    this.batch.put(key, writeNumber(key, at));
    this.image.doomed.set(place, { at });
  }

  private state({ owner, key: own, value }: Kind<"state">): void {
    let number = this.image.owners.get(owner);
    if (number === undefined) {
      if (value === undefined) return;
      number = this.name("owner", owner);
      this.image.owners.set(owner, number);
    }
    this.states.set(stateKey(number, own), value);
  }

  private attachment(name: string): KnownAttachment {
    return (
      this.image.attachments.get(name) ?? this.image.attachments.add(name, this.name("attachment", name))
    );
  }

  private name(kind: "attachment" | "owner", name: string): number {
    const number = this.image.nextNumber;
    this.image.nextNumber += 1;
    const key = nameKey(kind, name);
    this.batch.put(key, writeNumber(key, number));
    const next = metaKey("next");
    this.batch.put(next, writeNumber(next, this.image.nextNumber));
    return number;
  }
}
