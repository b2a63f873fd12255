import { randomUUID } from "node:crypto";
import { type LedgerRow, type Message, messageBytes, type Principal } from "@nomq/core";
import type { Level, LevelBatch } from "./disk/level.ts";
import { firstCommits, KEPT_COMMITS } from "./image/commits.ts";
import { type ImportLine, invalid } from "./import-lines.ts";
import {
  agingKey,
  bodyKey,
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
} from "./layout/keys.ts";
import {
  bucketOf,
  type ReceiptHead,
  type ReceiptPage,
  receiptKey,
  seqOfId,
  writeReceipts,
} from "./layout/receipts.ts";
import {
  type Tally,
  writeInterest,
  writeList,
  writeMessage,
  writeNumber,
  writeOnce,
  writeRow,
  writeState,
  writeTally,
  writeText,
} from "./layout/records.ts";

type Kind<K extends ImportLine["kind"]> = ImportLine & { readonly kind: K };
type Takers = { readonly [K in ImportLine["kind"]]: (line: Kind<K>, number: number) => void };

const LINES_AT_ONCE = 256;
/** A run may use this many numbers above the highest that it had committed. */
const RUN = 2 ** 32;

/** Fills a new database with the lines of an export; nobody else has it open. */
export class Importing {
  private readonly level: Level;
  private batch: LevelBatch;
  private taken = 0;
  private readonly tallies = new Map<string, Tally & { readonly place: number }>();
  private readonly owners = new Map<string, number>();
  /** Attachments that only receipts know. */
  private readonly gone = new Map<string, number>();
  private nextNumber = 1;
  private highest = 0;
  private start = 0;
  private id: string = randomUUID();
  private receipts = 0;
  private readonly aging: string[] = [];
  private page: Page | undefined;
  private pages = 0;

  private readonly takers: Takers = {
    store: (line) => {
      this.highest = line.highest;
      this.start = line.start;
      this.id = line.id ?? this.id;
    },
    attachment: (line) => {
      this.counts(line);
      this.interest(line);
    },
    counts: (line) => this.counts(line),
    waiting: (line, number) => this.waiting(line, number),
    history: ({ message }) => this.history(message),
    retained: ({ message }) => this.retained(message),
    cleared: ({ message }) => this.value(tombstoneKey(message.channel), message),
    receipt: (line, number) => this.receipt(line, number),
    once: (line) => this.once(line),
    state: ({ owner, key, value }) => {
      const at = stateKey(this.named(this.owners, "owner", owner), key);
      this.batch.put(at, writeState(at, value));
    },
    damaged: () => undefined,
    end: () => undefined,
  };

  constructor(level: Level) {
    this.level = level;
    this.batch = level.batch();
  }

  async take(line: ImportLine, number: number): Promise<void> {
    // The table has the taker of each kind under its name; the compiler cannot follow a union through it.
    (this.takers[line.kind] as (line: ImportLine, number: number) => void)(line, number);
    this.taken += 1;
    if (this.taken % LINES_AT_ONCE !== 0) return;
    await this.batch.write({ sync: false });
    this.batch = this.level.batch();
  }

  /** Writes what stands for the whole, and answers the store's id. */
  async finish(): Promise<string> {
    this.age();
    this.putPage();
    for (const tally of this.tallies.values()) {
      const key = placeKey(tally.place, "counts");
      this.batch.put(key, writeTally(key, { ...tally, row: balanced(tally) }));
    }
    this.number("next", this.nextNumber);
    // Numbers that a lost batch gave must not be given again.
    this.number("start", Math.max(this.start, this.highest + RUN));
    const id = metaKey("id");
    this.batch.put(id, writeText(id, this.id));
    firstCommits(this.batch, { highest: this.highest, receipts: this.receipts });
    await this.batch.write({ sync: true });
    return this.id;
  }

  private number(name: string, value: number): void {
    const key = metaKey(name);
    this.batch.put(key, writeNumber(key, value));
  }

  private counts({ name, row }: Kind<"attachment"> | Kind<"counts">): void {
    this.tally(name).row = { ...row, pending: 0 };
  }

  private interest({ name, filters, outbox, as: who }: Kind<"attachment">): void {
    const key = placeKey(this.tally(name).place, "interest");
    // The hub gave the principal its form; a changed line does not pass the checksum.
    const as = who as Principal;
    this.batch.put(key, writeInterest(key, { name, as, filters, outbox }));
  }

  private tally(name: string): Tally & { readonly place: number } {
    const known = this.tallies.get(name);
    if (known !== undefined) return known;
    const place = this.gone.get(name) ?? this.named(new Map(), "attachment", name);
    const tally = { place, row: NOTHING, waiting: 0, bytes: 0, cursor: 0 };
    this.tallies.set(name, tally);
    return tally;
  }

  private named(known: Map<string, number>, kind: "attachment" | "owner", name: string): number {
    const number = known.get(name) ?? this.nextNumber;
    if (number < this.nextNumber) return number;
    this.nextNumber += 1;
    known.set(name, number);
    const key = nameKey(kind, name);
    this.batch.put(key, writeNumber(key, number));
    return number;
  }

  private waiting({ message, attachment, attempt }: Kind<"waiting">, number: number): void {
    const tally = this.tallies.get(attachment);
    if (tally === undefined) throw invalid(number, `waits for ${attachment}, which no line before it names`);
    const { seq } = message;
    const bytes = messageBytes(message);
    this.body(message);
    const key = rowKey(tally.place, seq);
    this.batch.put(key, writeRow(key, { bytes, attempt }));
    if (tally.waiting === 0 || seq < tally.cursor) tally.cursor = seq;
    tally.waiting += 1;
    tally.bytes += bytes;
  }

  private body(message: Message): void {
    this.highest = Math.max(this.highest, message.seq);
    const key = bodyKey(message.seq);
    this.batch.put(key, writeMessage(key, message));
  }

  private history(message: Message): void {
    this.body(message);
    const key = historyKey(message.channel, message.seq);
    this.batch.put(key, writeNumber(key, message.publishedAt));
  }

  private retained(message: Message): void {
    const { channel, expiresAt } = message;
    this.value(retainedKey(channel), message);
    if (expiresAt !== undefined) this.batch.put(dueKey(expiresAt, channel), Buffer.alloc(0));
  }

  private value(key: Buffer, message: Message): void {
    this.highest = Math.max(this.highest, message.seq);
    this.batch.put(key, writeMessage(key, message));
  }

  private once({ key: name, id, seq }: Kind<"once">): void {
    const key = onceKey(name);
    this.batch.put(key, writeOnce(key, { id, seq, commit: KEPT_COMMITS }));
    this.aging.push(name);
    if (this.aging.length >= LINES_AT_ONCE) this.age();
  }

  /** Those of one bucket that were stored together go into one page, as a flush writes them. */
  private receipt(line: Kind<"receipt">, number: number): void {
    const { id, channel, publishedAt, storedAt: at, outcomes } = line;
    const seq = seqOfId(id);
    if (seq === undefined) throw invalid(number, `has an id that no receipt has: ${id}`);
    const page = this.pageFor(seq, at);
    const to = outcomes.map(({ attachment }) => this.placeInReceipt(attachment));
    page.heads.push({ seq, id, channel, publishedAt, to });
    for (const [which, place] of to.entries()) {
      const { attachment = "", is = "pending", ...rest } = outcomes[which] ?? { at: 0 };
      page.names.set(place, attachment);
      if (is !== "pending") page.ends.push({ seq, place, is, ...rest });
    }
    this.receipts += 1;
  }

  private pageFor(seq: number, at: number): Page {
    const [first] = this.page?.heads ?? [];
    if (this.page?.at === at && first !== undefined && bucketOf(first.seq) === bucketOf(seq))
      return this.page;
    this.putPage();
    const page: Page = { at, heads: [], ends: [], names: new Map() };
    this.page = page;
    return page;
  }

  private putPage(): void {
    const [first] = this.page?.heads ?? [];
    if (this.page === undefined || first === undefined) return;
    // Commits count from 4,096: below, a page may be known by its first message.
    const key = receiptKey(bucketOf(first.seq), first.seq % LINES_AT_ONCE);
    this.batch.put(key, writeReceipts(key, this.page));
    this.page = undefined;
  }

  private placeInReceipt(name: string): number {
    const known = this.tallies.get(name)?.place ?? this.gone.get(name);
    if (known !== undefined) return known;
    this.gone.set(name, this.nextNumber);
    this.nextNumber += 1;
    return this.nextNumber - 1;
  }

  /** A page of transfers ends together. */
  private age(): void {
    if (this.aging.length === 0) return;
    this.pages += 1;
    const key = agingKey(Date.now() + this.pages, KEPT_COMMITS);
    this.batch.put(key, writeList(key, this.aging.splice(0)));
  }
}

interface Page extends ReceiptPage {
  readonly heads: ReceiptHead[];
  readonly ends: ReceiptPage["ends"][number][];
  readonly names: Map<number, string>;
}

const NOTHING: LedgerRow = {
  ...{ accepted: 0, delivered: 0, expired: 0, dropped: {}, refused: 0, uncertain: 0, pending: 0 },
};

/** What a rescue brought back to an outbox was accepted, whatever its counts say. */
function balanced({ row, waiting }: Tally): LedgerRow {
  const dropped = Object.values(row.dropped).reduce((sum, by) => sum + by, 0);
  const known = row.delivered + row.expired + row.refused + row.uncertain + dropped + waiting;
  return { ...row, accepted: Math.max(row.accepted, known) };
}
