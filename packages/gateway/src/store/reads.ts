import { filterMatches, type Message, type Receipt, type RetainedPage, startAfter } from "@nomq/core";
import type { Level } from "./disk/level.ts";
import { entriesOf, keyAfter } from "./image/image.ts";
import { DamagedValue } from "./layout/bytes.ts";
import {
  bodyKey,
  historyOf,
  retainedKey,
  rowKey,
  rowsOf,
  seqIn,
  stateOf,
  tombstoneKey,
} from "./layout/keys.ts";
import {
  bucketOf,
  type End,
  type ReceiptHead,
  readReceipts,
  receiptRange,
  seqOfId,
} from "./layout/receipts.ts";
import { readMessage, readNumber, readRow, readState } from "./layout/records.ts";
import type { Target } from "./writing/writer.ts";

/** Told of every value that cannot be read; reading goes on without it. */
export type Damage = (what: { readonly key: Buffer; readonly row?: Buffer }) => void;

const PAGE = 256;
/** Bridges have many small ones. */
const STATES = 1_024;
/** So many names are compared before other callbacks get their turn. */
const AT_ONCE = 4_096;

/** The value, or undefined where it is missing or damaged. */
function readable<T>(
  key: Buffer,
  value: Buffer | undefined,
  read: (key: Buffer, value: Buffer) => T,
): T | undefined {
  if (value === undefined) return undefined;
  try {
    return read(key, value);
  } catch (error) {
    if (error instanceof DamagedValue || error instanceof RangeError) return undefined;
    throw error;
  }
}

export async function readWaiting(
  { level, image }: Target,
  wanted: { readonly name: string; readonly afterSeq: number; readonly limit: number },
  damage: Damage,
): Promise<{ message: Message; attempt: number }[]> {
  const attachment = image.attachments.get(wanted.name);
  const found: { message: Message; attempt: number }[] = [];
  if (attachment === undefined) return found;
  const { place } = attachment;
  // From the cursor: a seek over what was deleted before it takes hundreds of milliseconds.
  let from = Math.max(attachment.cursor, wanted.afterSeq + 1);
  while (found.length < wanted.limit) {
    const range = { gte: rowKey(place, from), lt: rowsOf(place).lt };
    const page = await readRows(level, range, wanted.limit - found.length);
    for (const { key, body, row, message } of page.rows) {
      if (row !== undefined && message !== undefined) found.push({ message, attempt: row.attempt });
      else damage({ key: body, row: key });
    }
    if (page.next === undefined) return found;
    from = page.next;
  }
  return found;
}

async function readRows(level: Level, range: { gte: Buffer; lt: Buffer }, limit: number) {
  // One moment for both: a row may end, and its body go, between two readings.
  const moment = level.moment();
  try {
    const entries = await level.page(range, limit, moment);
    const keys = entries.map(([key]) => bodyKey(seqIn(key)));
    const bodies = await level.getMany(keys, moment);
    const rows = entries.map(([key, value], at) => {
      const body = keys[at] ?? key;
      const message = readable(body, bodies[at], readMessage);
      return { key, body, row: readable(key, value, readRow), message };
    });
    const last = entries.at(-1);
    return { rows, next: last === undefined || entries.length < limit ? undefined : seqIn(last[0]) + 1 };
  } finally {
    await moment.close();
  }
}

export async function readLatest(
  level: Level,
  channel: string,
  damage: Damage,
): Promise<Message | undefined> {
  const key = retainedKey(channel);
  const value = await level.get(key);
  const message = readable(key, value, readMessage);
  if (value !== undefined && message === undefined) damage({ key });
  return message;
}

/** The next values after a name. What changes while it looks may or may not be among them. */
export async function readRetained(
  { level, image }: Target,
  wanted: { readonly filters: readonly string[]; readonly page: RetainedPage },
  damage: Damage,
): Promise<Message[]> {
  const { filters, page } = wanted;
  const found: Message[] = [];
  const literal = filters.every((filter) => !/[+#]/.test(filter));
  const names = literal ? [...new Set(filters)].sort() : image.retained.all();
  let some: string[] = [];
  let compared = 0;
  for (let at = startAfter(names, page.after); at < names.length && found.length < page.limit; at += 1) {
    const name = names[at] ?? "";
    compared += literal ? 1 : filters.length;
    if (literal || filters.some((filter) => filterMatches(filter, name))) some.push(name);
    if (some.length < Math.min(PAGE, page.limit - found.length) && at < names.length - 1) {
      if (compared < AT_ONCE) continue;
      compared = 0;
      await new Promise((resolve) => setImmediate(resolve));
      continue;
    }
    found.push(...(await readValues(level, { names: some, tombstones: page.tombstones === true }, damage)));
    some = [];
  }
  return found;
}

async function readValues(
  level: Level,
  wanted: { readonly names: readonly string[]; readonly tombstones: boolean },
  damage: Damage,
): Promise<Message[]> {
  const { names } = wanted;
  const values = names.map(retainedKey);
  const keys = wanted.tombstones ? [...values, ...names.map(tombstoneKey)] : values;
  const read = await level.getMany(keys);
  const found: Message[] = [];
  for (const [at] of names.entries()) {
    for (const place of wanted.tombstones ? [at, at + names.length] : [at]) {
      const [key, value] = [keys[place], read[place]];
      if (key === undefined || value === undefined) continue;
      const message = readable(key, value, readMessage);
      if (message === undefined) damage({ key });
      else found.push(message);
    }
  }
  return found;
}

export async function readReceiptOf({ level, image }: Target, id: string): Promise<Receipt | undefined> {
  const seq = seqOfId(id);
  if (seq === undefined) return undefined;
  let head: NamedHead | undefined;
  const ends = new Map<number, End>();
  for await (const [key, value] of entriesOf(level, receiptRange(bucketOf(seq)))) {
    const page = readable(key, value, readReceipts);
    const own = page?.heads.find((each) => each.id === id);
    if (page !== undefined && own !== undefined) head = { ...own, names: page.names };
    for (const { seq: of, place, ...end } of page?.ends ?? []) if (of === seq) ends.set(place, end);
  }
  return head === undefined ? undefined : receiptOf(image, head, ends);
}

/** The head of a receipt, and who its places are. */
export type NamedHead = ReceiptHead & { readonly names: ReadonlyMap<number, string> };

/** A receipt as it is told; `ends` are its own, by place. */
export function receiptOf(
  image: Target["image"],
  { id, to, names, channel, publishedAt }: NamedHead,
  ends: ReadonlyMap<number, End>,
): Receipt {
  const outcomes = to.map((place) => {
    const attachment = names.get(place) ?? "";
    const end = ends.get(place);
    if (end !== undefined) return { attachment, ...end };
    const doomed = image.doomed.get(place);
    if (doomed !== undefined)
      return { attachment, is: "dropped", reason: "forgotten", at: doomed.at } as const;
    return { attachment, is: "pending", at: publishedAt } as const;
  });
  const isDelivered = outcomes.length > 0 && outcomes.every((outcome) => outcome.is === "delivered");
  return { id, channel, at: isDelivered ? "delivered" : "stored", outcomes };
}

/** The youngest messages, oldest first; nothing is held while the caller is busy with one. */
export async function* readHistory(
  level: Level,
  wanted: { readonly channel: string; readonly last: number; readonly since: number },
  damage: Damage,
): AsyncGenerator<Message> {
  const numbers = await youngest(level, wanted, damage);
  for (let at = 0; at < numbers.length; at += PAGE) {
    const bodies = numbers.slice(at, at + PAGE).map(bodyKey);
    const read = await level.getMany(bodies);
    for (const [place, key] of bodies.entries()) {
      const message = readable(key, read[place], readMessage);
      if (message !== undefined) yield message;
      // What is missing has been put aside before, or has gone meanwhile.
      else if (read[place] !== undefined) damage({ key });
    }
  }
}

async function youngest(
  level: Level,
  wanted: { readonly channel: string; readonly last: number; readonly since: number },
  damage: Damage,
): Promise<number[]> {
  const { gte, lt } = historyOf(wanted.channel);
  const found: number[] = [];
  for (let end = lt; ; ) {
    const page = await level.back({ gte, lt: end }, PAGE);
    for (const [key, value] of page) {
      const at = readable(key, value, readNumber);
      if (at === undefined) damage({ key });
      else if (at >= wanted.since && found.length < wanted.last) found.push(seqIn(key));
    }
    const first = page.at(-1);
    if (first === undefined || page.length < PAGE || found.length >= wanted.last) return found.reverse();
    end = first[0];
  }
}

/** A view without a Buffer's methods: bridges are promised bytes and no more. */
function plain(bytes: Uint8Array, from = 0): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset + from, bytes.byteLength - from);
}

export async function* readStates(
  target: () => Target,
  owner: string,
  damage: Damage,
): AsyncGenerator<readonly [key: Uint8Array, value: Uint8Array]> {
  const { level, image } = target();
  const number = image.owners.get(owner);
  if (number === undefined) return;
  const range = stateOf(number);
  let from = range.gte;
  for (;;) {
    const page = await level.page({ gte: from, lt: range.lt }, STATES);
    for (const [key, value] of page) {
      const state = readable(key, value, readState);
      if (state === undefined) damage({ key });
      else yield [plain(key, range.gte.length), plain(state)] as const;
    }
    const last = page.at(-1);
    if (last === undefined || page.length < STATES) return;
    from = keyAfter(last[0]);
  }
}
