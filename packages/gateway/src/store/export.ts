import { randomUUID } from "node:crypto";
import { crc32 } from "node:zlib";
import type { Message } from "@nomq/core";
import { LOOKING, openToLook } from "./check.ts";
import { FORMAT } from "./disk/folder.ts";
import type { Level, Moment } from "./disk/level.ts";
import { rescued, SALVAGE } from "./disk/rescue.ts";
import { type Image, keyAfter, loadImage, readableImage, storeId } from "./image/image.ts";
import { DamagedValue } from "./layout/bytes.ts";
import { bodyKey, placeIn, type Range, Space, seqIn, spaceRange, textIn } from "./layout/keys.ts";
import { type End, type ReceiptPage, readReceipts, receiptBucketIn } from "./layout/receipts.ts";
import { readMessage, readOnce, readRow, readState } from "./layout/records.ts";
import { receiptOf } from "./reads.ts";

const PAGE = 256;

/** One line of an export, before it is written as JSON. */
type Line = { readonly kind: string } & Readonly<Record<string, unknown>>;

/** One line of an export: JSON, without its end. */
export interface ExportLine {
  /** `damaged`: something could not be read; the line says what. */
  readonly kind: string;
  readonly text: string;
}

interface Source {
  readonly level: Level;
  readonly image: Image;
  readonly moment: Moment;
}

/**
 * The contents of a store that nobody has open, as JSON lines: a header; attachments with their counts; messages with
 * those they wait for; histories; retained values and cleared ones; receipts; transfers; the bridges' state; a last
 * line with the number of lines before it and their crc32. What cannot be read becomes a line of kind `damaged`.
 */
export async function* exportStore(folder: string): AsyncGenerator<ExportLine> {
  const level = await openToLook(folder);
  try {
    yield* summed(contents(level, await loadImage(level, folder, LOOKING)));
  } finally {
    await level.close();
  }
}

/**
 * As {@link exportStore}, for a store that is refused as damaged: reads a copy of it, and of that what can be read.
 * Messages that have been delivered may be among it again. The copy takes the room of the store beside it, and goes.
 */
export async function* salvageStore(folder: string): AsyncGenerator<ExportLine> {
  const level = await rescued(folder, `${folder}${SALVAGE}${randomUUID()}`);
  try {
    const lost: Line[] = [];
    const image = await readableImage(level, LOOKING, (key, reason) => void lost.push(damaged(key, reason)));
    yield* summed(salvaged(contents(level, image), lost, level.complaints));
  } finally {
    await level.close();
  }
}

async function* salvaged(
  lines: AsyncGenerator<Line>,
  lost: readonly Line[],
  complaints: readonly string[],
): AsyncGenerator<Line> {
  yield* lines;
  yield* lost;
  for (const reason of complaints) yield { kind: "damaged", reason };
}

async function* summed(lines: AsyncGenerator<Line>): AsyncGenerator<ExportLine> {
  let count = 0;
  let sum = 0;
  for await (const line of lines) {
    const text = JSON.stringify(line);
    count += 1;
    sum = crc32(`${text}\n`, sum);
    yield { kind: line.kind, text };
  }
  yield { kind: "end", text: JSON.stringify({ kind: "end", lines: count, crc32: sum }) };
}

async function* contents(level: Level, image: Image): AsyncGenerator<Line> {
  const moment = level.moment();
  try {
    yield* allLines({ level, image, moment });
  } finally {
    await moment.close();
  }
}

async function* allLines(source: Source): AsyncGenerator<Line> {
  const { level, image } = source;
  const { highest } = image.commit;
  const id = await storeId(level).catch(() => undefined);
  yield { kind: "store", format: FORMAT, id, highest, start: image.nextStart };
  for (const attachment of image.attachments.stored()) yield { kind: "attachment", ...attachment };
  for (const [name, row] of image.attachments.rows()) yield { kind: "counts", name, row };
  yield* waitingLines(source);
  for await (const page of pagesOf(source, spaceRange(Space.history))) {
    const bodies = await level.getMany(
      page.map(([key]) => bodyKey(seqIn(key))),
      source.moment,
    );
    for (const [at, [key]] of page.entries())
      yield decoded(key, () => message("history", bodyKey(seqIn(key)), bodies[at]));
  }
  yield* values(source, Space.retained, (key, value) => message("retained", key, value));
  yield* values(source, Space.tombstone, (key, value) => message("cleared", key, value));
  yield* receiptLines(source);
  yield* values(source, Space.once, (key, value) => {
    const { id, seq } = readOnce(key, value);
    return { kind: "once", key: textIn(key), id, seq };
  });
  const owners = new Map([...image.owners].map(([name, number]) => [number, name] as const));
  yield* values(source, Space.state, (key, value) => {
    const owner = owners.get(placeIn(key));
    if (owner === undefined) throw new DamagedValue("the name of the state's owner is lost");
    return {
      ...{ kind: "state", owner, key: key.subarray(5).toString("base64") },
      value: base64(readState(key, value)),
    };
  });
}

/** Those of attachments that were forgotten are left out. */
async function* waitingLines({ level, image, moment }: Source): AsyncGenerator<Line> {
  for await (const page of pagesOf({ level, image, moment }, spaceRange(Space.row))) {
    const bodies = await level.getMany(
      page.map(([key]) => bodyKey(seqIn(key))),
      moment,
    );
    for (const [at, [key, value]] of page.entries()) {
      if (image.doomed.has(placeIn(key))) continue;
      yield decoded(key, () => {
        const attachment = image.attachments.at(placeIn(key))?.name;
        if (attachment === undefined) throw new DamagedValue("the name of the attachment is lost");
        const { attempt } = readRow(key, value);
        return { ...message("waiting", bodyKey(seqIn(key)), bodies[at]), attachment, attempt };
      });
    }
  }
}

/** Bucket by bucket, in the order in which they end. */
async function* receiptLines(source: Source): AsyncGenerator<Line> {
  let pages: ReceiptPage[] = [];
  let bucket = 0;
  for await (const page of pagesOf(source, spaceRange(Space.receipt)))
    for (const [key, value] of page) {
      if (receiptBucketIn(key) !== bucket) {
        yield* receiptsIn(source.image, pages);
        pages = [];
        bucket = receiptBucketIn(key);
      }
      const lost = decoded(key, () => {
        pages.push(readReceipts(key, value));
        return { kind: "read" };
      });
      if (lost.kind === "damaged") yield lost;
    }
  yield* receiptsIn(source.image, pages);
}

function* receiptsIn(image: Image, pages: readonly ReceiptPage[]): Generator<Line> {
  const ends = new Map<number, Map<number, End>>();
  for (const { seq, place, ...end } of pages.flatMap((page) => page.ends)) {
    const own = ends.get(seq) ?? new Map<number, End>();
    ends.set(seq, own.set(place, end));
  }
  for (const { at: storedAt, heads, names } of pages)
    for (const head of heads) {
      const receipt = receiptOf(image, { ...head, names }, ends.get(head.seq) ?? new Map());
      yield { kind: "receipt", ...receipt, publishedAt: head.publishedAt, storedAt };
    }
}

async function* values(
  source: Source,
  space: number,
  read: (key: Buffer, value: Buffer) => Line,
): AsyncGenerator<Line> {
  for await (const page of pagesOf(source, spaceRange(space)))
    for (const [key, value] of page) yield decoded(key, () => read(key, value));
}

async function* pagesOf({ level, moment }: Source, range: Range): AsyncGenerator<[Buffer, Buffer][]> {
  for (let from = range.gte; ; ) {
    const page = await level.page({ gte: from, lt: range.lt }, PAGE, moment);
    yield page;
    const last = page.at(-1);
    if (last === undefined || page.length < PAGE) return;
    from = keyAfter(last[0]);
  }
}

const damaged = (key: Buffer, reason: string): Line => ({
  kind: "damaged",
  key: key.toString("hex"),
  reason,
});

function decoded(key: Buffer, read: () => Line): Line {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof DamagedValue) && !(error instanceof RangeError)) throw error;
    return damaged(key, error.message);
  }
}

function message(kind: string, key: Buffer, value: Buffer | undefined): Line {
  if (value === undefined) throw new DamagedValue("the message is missing");
  return { kind, message: plain(readMessage(key, value)) };
}

/** Bytes as base64. */
function plain({ payload, correlation, ...rest }: Message): Record<string, unknown> {
  return {
    ...rest,
    payload: base64(payload),
    ...(correlation === undefined ? {} : { correlation: base64(correlation) }),
  };
}

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64");
