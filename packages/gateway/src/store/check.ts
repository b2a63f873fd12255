import { NomqError } from "@nomq/core";
import { FORMAT, readMark } from "./disk/folder.ts";
import { type Level, type OpenLevel, openLevel } from "./disk/level.ts";
import { entriesOf, type Image, loadImage, type StoreLimits } from "./image/image.ts";
import { DamagedValue } from "./layout/bytes.ts";
import { dueKey, placeIn, retainedKey, Space, seqIn, spaceRange, textIn } from "./layout/keys.ts";
import { readReceipts } from "./layout/receipts.ts";
import { readMessage, readNumber, readOnce, readRow, readState } from "./layout/records.ts";

/** What a look through a whole store found. */
export interface StoreReport {
  /** In words; none in a sound store. */
  readonly faults: readonly string[];
  readonly attachments: number;
  readonly messages: number;
  readonly rows: number;
  readonly retained: number;
  readonly receipts: number;
  /** Bodies that nobody needs: the next start removes them. */
  readonly leftover: number;
  /** Damaged values that were put aside. */
  readonly quarantined: number;
}

/** Limits matter to nothing that is only looked at. */
export const LOOKING: StoreLimits = {
  history: { rules: [], channels: 1, messages: 1 },
  tombstones: 1,
  receipts: { forMs: 0, most: 1 },
};
/** Of one kind so many are told. */
const TOLD = 20;

/** Opens a store that must be there. */
export async function openToLook(folder: string, open: OpenLevel = openLevel): Promise<Level> {
  const mark = await readMark(folder);
  if (mark === undefined) throw new NomqError("store-failed", `there is no store in ${folder}`);
  if (mark.format < FORMAT)
    throw new NomqError(
      "store-failed",
      `the store in ${folder} has format ${mark.format}; the gateway brings it to ${FORMAT} when it starts. Look again then.`,
    );
  return await open(folder, { create: false });
}

/**
 * Reads a store through that nobody has open and tells what does not fit: checksums, rows and bodies, cursors and
 * counts, what is due. Rejects as the start would where nothing can be read at all.
 */
export async function checkStore(folder: string): Promise<StoreReport> {
  const level = await openToLook(folder);
  try {
    const image = await loadImage(level, folder, LOOKING);
    return await new Look(level, image).all();
  } finally {
    await level.close();
  }
}

type Reader<T> = (key: Buffer, value: Buffer) => T;

class Look {
  private readonly level: Level;
  private readonly image: Image;
  private readonly faults: string[] = [];
  private readonly bodies = new Set<number>();
  private readonly needed = new Set<number>();
  private readonly aside = new Set<number>();
  private quarantined = 0;

  constructor(level: Level, image: Image) {
    this.level = level;
    this.image = image;
  }

  async all(): Promise<StoreReport> {
    for await (const [key] of entriesOf(this.level, spaceRange(Space.quarantine))) {
      this.quarantined += 1;
      if (key[1] === Space.body) this.aside.add(seqIn(key));
    }
    for await (const [key] of this.each(Space.body, readMessage)) this.bodies.add(seqIn(key));
    const rows = await this.rows();
    for await (const [key] of this.each(Space.history, readNumber))
      this.need(seqIn(key), `the history of ${textIn(key, 1, 9)}`);
    const retained = await this.retained();
    const receipts = await this.receipts();
    await this.readThrough();
    return {
      faults: this.faults,
      attachments: this.image.attachments.stored().length,
      messages: this.bodies.size,
      ...{ rows, retained, receipts },
      leftover: [...this.bodies].filter((seq) => !this.needed.has(seq)).length,
      quarantined: this.quarantined,
    };
  }

  private async *each<T>(space: number, read: Reader<T>): AsyncGenerator<readonly [key: Buffer, value: T]> {
    for await (const [key, value] of entriesOf(this.level, spaceRange(space))) {
      let found: T;
      try {
        found = read(key, value);
      } catch (error) {
        if (!(error instanceof DamagedValue)) throw error;
        this.fault(`the value of ${key.toString("hex")} is damaged: ${error.message}`);
        continue;
      }
      yield [key, found];
    }
  }

  private fault(text: string): void {
    if (this.faults.length < TOLD) this.faults.push(text);
  }

  private need(seq: number, who: string): void {
    this.needed.add(seq);
    if (!this.bodies.has(seq) && !this.aside.has(seq))
      this.fault(`${who} names message ${seq}, which is not there`);
  }

  private async rows(): Promise<number> {
    const counted = new Map<number, { rows: number; bytes: number; lowest: number }>();
    let all = 0;
    for await (const [key, row] of this.each(Space.row, readRow)) {
      all += 1;
      const place = counted.get(placeIn(key)) ?? { rows: 0, bytes: 0, lowest: seqIn(key) };
      counted.set(placeIn(key), { ...place, rows: place.rows + 1, bytes: place.bytes + row.bytes });
      this.need(
        seqIn(key),
        `a row of ${this.image.attachments.at(placeIn(key))?.name ?? "a forgotten attachment"}`,
      );
    }
    for (const place of counted.keys())
      if (this.image.attachments.at(place) === undefined && !this.image.doomed.has(place))
        this.fault(`rows belong to attachment number ${place}, which is not there`);
    for (const { name, place, waiting, bytes, cursor, row } of this.image.attachments.all()) {
      const found = counted.get(place) ?? { rows: 0, bytes: 0, lowest: cursor };
      if (found.rows !== waiting)
        this.fault(`${name} counts ${waiting} waiting messages and has ${found.rows}`);
      if (found.bytes !== bytes) this.fault(`${name} counts ${bytes} waiting bytes and has ${found.bytes}`);
      if (cursor > found.lowest) this.fault(`the cursor of ${name} leads its rows`);
      const dropped = Object.values(row.dropped).reduce((sum, by) => sum + by, 0);
      const ended = row.delivered + row.expired + row.refused + row.uncertain + dropped;
      // What was accepted and never stored ended with its process.
      if (row.accepted < ended + waiting) this.fault(`${name} has ended more than it accepted`);
    }
    return all;
  }

  private async retained(): Promise<number> {
    let all = 0;
    for await (const [key, message] of this.each(Space.retained, readMessage)) {
      all += 1;
      if (message.channel !== textIn(key))
        this.fault(`the value of ${textIn(key)} is that of ${message.channel}`);
      if (message.expiresAt === undefined) continue;
      const due = await this.level.get(dueKey(message.expiresAt, message.channel));
      if (due === undefined) this.fault(`the value of ${message.channel} would never expire`);
    }
    for await (const [key, message] of this.each(Space.tombstone, readMessage)) {
      const value = await this.level.get(retainedKey(message.channel));
      if (value !== undefined) this.fault(`${textIn(key)} is set and cleared`);
    }
    return all;
  }

  private async receipts(): Promise<number> {
    let heads = 0;
    for await (const [, page] of this.each(Space.receipt, readReceipts)) heads += page.heads.length;
    if (heads !== this.image.commit.receipts)
      this.fault(`${heads} receipts are there, ${this.image.commit.receipts} counted`);
    return heads;
  }

  private async readThrough(): Promise<void> {
    await drained(this.each(Space.once, readOnce));
    await drained(this.each(Space.state, readState));
  }
}

async function drained(items: AsyncIterator<unknown>): Promise<void> {
  while ((await items.next()).done !== true);
}
