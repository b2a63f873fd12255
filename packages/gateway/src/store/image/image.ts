import { NomqError } from "@nomq/core";
import type { Level } from "../disk/level.ts";
import { opened } from "../disk/ways-out.ts";
import { DamagedValue } from "../layout/bytes.ts";
import {
  doomedKey,
  metaKey,
  type NameKind,
  placeIn,
  placeKey,
  type Range,
  Space,
  spaceRange,
  textIn,
} from "../layout/keys.ts";
import { bucketOf, receiptBucketIn } from "../layout/receipts.ts";
import { readInterest, readNumber, readTally, readText } from "../layout/records.ts";
import { AttachmentIndex } from "./attachment-index.ts";
import { type LastCommit, lastCommit } from "./commits.ts";
import { HistoryIndex, type HistoryLimits } from "./history-index.ts";
import { RecentRows } from "./recent-rows.ts";
import { References } from "./references.ts";
import { RetainedIndex } from "./retained-index.ts";

/** What a store keeps at most. */
export interface StoreLimits {
  readonly history: HistoryLimits;
  readonly tombstones: number;
  readonly receipts: { readonly forMs: number; readonly most: number };
}

/** An attachment that was forgotten and whose rows go page by page. */
export interface Doomed {
  readonly at: number;
}

/**
 * What is known in memory of a store on disk. The writer changes it while it builds a batch; a batch that fails makes
 * it worthless, and it is loaded again.
 */
export interface Image {
  readonly attachments: AttachmentIndex;
  readonly owners: Map<string, number>;
  readonly doomed: Map<number, Doomed>;
  readonly recents: RecentRows;
  readonly references: References;
  readonly history: HistoryIndex;
  readonly retained: RetainedIndex;
  readonly limits: StoreLimits;
  commit: LastCommit;
  /** Receipts of buckets below are gone, or go. */
  oldestReceipts: number;
  /** The first `seq` of the next run, at least. */
  nextStart: number;
  /** Numbers of attachments and owners are never given twice. */
  nextNumber: number;
}

const PAGE = 1_024;

/** All entries of a range, page by page, so that no iterator stays open. */
export async function* entriesOf(level: Level, range: Range): AsyncGenerator<[key: Buffer, value: Buffer]> {
  let from = range.gte;
  for (;;) {
    const page = await level.page({ gte: from, lt: range.lt }, PAGE);
    yield* page;
    const last = page.at(-1);
    if (last === undefined || page.length < PAGE) return;
    from = keyAfter(last[0]);
  }
}

/** The smallest key above this one. */
export const keyAfter = (key: Buffer): Buffer => Buffer.concat([key, Buffer.alloc(1)]);

/** Reads what must be known before the first commit. Refuses a store that it cannot rely on. */
export async function loadImage(level: Level, folder: string, limits: StoreLimits): Promise<Image> {
  const image = emptyImage(await lastCommit(level, folder), limits);
  image.oldestReceipts = await oldestReceipts(level, image.commit);
  try {
    await loadNumbers(level, image, strictly);
    await loadShelves(level, image, strictly);
  } catch (error) {
    if (!(error instanceof DamagedValue)) throw error;
    const text = `the store in ${folder} cannot be relied on: ${error.message}. ${opened(folder)}`;
    throw new NomqError("store-damaged", text, { cause: error });
  }
  return image;
}

/** As much of a damaged store's image as can be read; `told` hears what cannot. */
export async function readableImage(
  level: Level,
  limits: StoreLimits,
  told: (key: Buffer, reason: string) => void,
): Promise<Image> {
  const image = emptyImage({ number: 0, highest: 0, receipts: 0, operations: 0 }, limits);
  const leniently: Reading = (key, read) => {
    try {
      read();
    } catch (error) {
      if (!(error instanceof DamagedValue)) throw error;
      told(key, error.message);
    }
  };
  await loadNumbers(level, image, leniently);
  await loadShelves(level, image, leniently);
  return image;
}

function emptyImage(commit: LastCommit, limits: StoreLimits): Image {
  return {
    attachments: new AttachmentIndex(),
    owners: new Map(),
    doomed: new Map(),
    recents: new RecentRows(),
    references: new References(),
    history: new HistoryIndex(limits.history),
    retained: new RetainedIndex(limits.tombstones),
    limits,
    commit,
    oldestReceipts: 0,
    nextStart: 1,
    nextNumber: 1,
  };
}

async function oldestReceipts(level: Level, { highest }: LastCommit): Promise<number> {
  const [first] = await level.keys(spaceRange(Space.receipt), 1);
  return first === undefined ? bucketOf(highest) : receiptBucketIn(first);
}

/** Reads one entry; what becomes of a damaged one is its caller's. */
type Reading = (key: Buffer, read: () => void) => void;
const strictly: Reading = (_key, read) => read();

async function loadNumbers(level: Level, image: Image, reading: Reading): Promise<void> {
  for (const [name, put] of [
    ["start", (value: number) => (image.nextStart = value)],
    ["next", (value: number) => (image.nextNumber = value)],
  ] as const) {
    const key = metaKey(name);
    const value = await level.get(key);
    if (value !== undefined) reading(key, () => void put(readNumber(key, value)));
  }
  for await (const [key, value] of entriesOf(level, spaceRange(Space.doomed)))
    reading(
      key,
      () => void image.doomed.set(placeIn(key), { at: readNumber(doomedKey(placeIn(key)), value) }),
    );
}

async function loadShelves(level: Level, image: Image, reading: Reading): Promise<void> {
  for await (const [key, value] of entriesOf(level, spaceRange(Space.name)))
    reading(key, () => {
      const kind: NameKind = key[1] === 1 ? "attachment" : "owner";
      const number = readNumber(key, value);
      if (kind === "owner") image.owners.set(textIn(key, 2), number);
      else image.attachments.add(textIn(key, 2), number);
    });
  for await (const [key, value] of entriesOf(level, spaceRange(Space.place)))
    reading(key, () => {
      const attachment = image.attachments.at(placeIn(key));
      if (attachment === undefined) throw new DamagedValue("counts belong to an attachment without a name");
      if (key.equals(placeKey(attachment.place, "interest"))) attachment.interest = readInterest(key, value);
      else Object.assign(attachment, readTally(key, value));
    });
}

/** The store's own number, under which its folder knows it. */
export async function storeId(level: Level): Promise<string | undefined> {
  const key = metaKey("id");
  const value = await level.get(key);
  return value === undefined ? undefined : readText(key, value);
}
