import { crc32 } from "node:zlib";
import type { Message } from "@nomq/core";
import { LOOKING, openToLook } from "./check.ts";
import { FORMAT } from "./disk/folder.ts";
import type { Level, Moment } from "./disk/level.ts";
import { type Image, keyAfter, loadImage, storeId } from "./image/image.ts";
import { DamagedValue } from "./layout/bytes.ts";
import { bodyKey, placeIn, Space, seqIn, spaceRange, textIn } from "./layout/keys.ts";
import { readMessage, readOnce, readRow, readState } from "./layout/records.ts";

const PAGE = 256;

/** One line of an export, before it is written as JSON. */
type Line = { readonly kind: string } & Readonly<Record<string, unknown>>;

interface Source {
  readonly level: Level;
  readonly image: Image;
  readonly moment: Moment;
}

/**
 * The contents of a store that nobody has open, as JSON lines without their ends: a header; attachments with their
 * counts; messages with those they wait for; histories; retained values and tombstones; transfers; state; a last
 * line with the number of lines before it and their crc32. What cannot be read becomes a line of kind `damaged`.
 */
export async function* exportStore(folder: string): AsyncGenerator<string> {
  const level = await openToLook(folder);
  const moment = level.moment();
  try {
    const image = await loadImage(level, folder, LOOKING);
    const header = { kind: "store", format: FORMAT, id: await storeId(level), highest: image.commit.highest };
    let lines = 0;
    let sum = 0;
    for await (const line of allLines({ level, image, moment }, header)) {
      const text = JSON.stringify(line);
      lines += 1;
      sum = crc32(`${text}\n`, sum);
      yield text;
    }
    yield JSON.stringify({ kind: "end", lines, crc32: sum });
  } finally {
    await moment.close();
    await level.close();
  }
}

async function* allLines(source: Source, header: Line): AsyncGenerator<Line> {
  yield header;
  for (const attachment of source.image.attachments.stored()) yield { kind: "attachment", ...attachment };
  for (const [name, row] of source.image.attachments.rows()) yield { kind: "counts", name, row };
  yield* waitingLines(source);
  for await (const page of pages(source, Space.history)) {
    const bodies = await source.level.getMany(
      page.map(([key]) => bodyKey(seqIn(key))),
      source.moment,
    );
    for (const [at, [key]] of page.entries())
      yield decoded(key, () => message("history", bodyKey(seqIn(key)), bodies[at]));
  }
  yield* values(source, Space.retained, (key, value) => message("retained", key, value));
  yield* values(source, Space.tombstone, (key, value) => message("cleared", key, value));
  yield* values(source, Space.once, (key, value) => ({
    kind: "once",
    key: textIn(key),
    ...readOnce(key, value),
  }));
  const owners = new Map([...source.image.owners].map(([name, number]) => [number, name] as const));
  yield* values(source, Space.state, (key, value) => ({
    kind: "state",
    owner: owners.get(placeIn(key)),
    key: key.subarray(5).toString("base64"),
    value: base64(readState(key, value)),
  }));
}

async function* waitingLines({ level, image, moment }: Source): AsyncGenerator<Line> {
  for await (const page of pages({ level, image, moment }, Space.row)) {
    const bodies = await level.getMany(
      page.map(([key]) => bodyKey(seqIn(key))),
      moment,
    );
    for (const [at, [key, value]] of page.entries()) {
      const attachment = image.attachments.at(placeIn(key))?.name;
      if (attachment === undefined) continue;
      yield decoded(key, () => {
        const { attempt } = readRow(key, value);
        return { ...message("waiting", bodyKey(seqIn(key)), bodies[at]), attachment, attempt };
      });
    }
  }
}

async function* values(
  source: Source,
  space: number,
  read: (key: Buffer, value: Buffer) => Line,
): AsyncGenerator<Line> {
  for await (const page of pages(source, space))
    for (const [key, value] of page) yield decoded(key, () => read(key, value));
}

async function* pages({ level, moment }: Source, space: number): AsyncGenerator<[Buffer, Buffer][]> {
  const range = spaceRange(space);
  for (let from = range.gte; ; ) {
    const page = await level.page({ gte: from, lt: range.lt }, PAGE, moment);
    yield page;
    const last = page.at(-1);
    if (last === undefined || page.length < PAGE) return;
    from = keyAfter(last[0]);
  }
}

function decoded(key: Buffer, read: () => Line): Line {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof DamagedValue)) throw error;
    return { kind: "damaged", key: key.toString("hex"), reason: error.message };
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
