import type { Moment } from "../disk/level.ts";
import type { Past } from "../image/history-index.ts";
import { keyAfter } from "../image/image.ts";
import { DamagedValue } from "../layout/bytes.ts";
import { type Range, Space, seqIn, spaceRange, textIn } from "../layout/keys.ts";
import { readMessage, readNumber } from "../layout/records.ts";
import type { Target } from "../writing/writer.ts";

const PAGE = 4_096;
/** Space byte, then the name, then a zero and the number. */
const HISTORY_END = 9;

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/**
 * Learns behind the start what was on disk when it happened: who shares which body, each channel's history, the
 * retained channels. Answers the bodies that nobody needs any more. Ends early when `isWanted` says so.
 */
export async function loadBehind(
  target: Target,
  options: { readonly isWanted: () => boolean; readonly retainedKnown: () => void },
): Promise<number[]> {
  const { isWanted } = options;
  const moment = target.level.moment();
  const seen = { target, moment, isWanted };
  try {
    await loadRetained(seen);
    options.retainedKnown();
    const counts = new Map<number, number>();
    for await (const key of keysOf(seen, spaceRange(Space.row))) add(counts, seqIn(key));
    const history = await loadHistory(seen, counts);
    const orphans: number[] = [];
    for await (const key of keysOf(seen, spaceRange(Space.body)))
      if (!counts.has(seqIn(key))) orphans.push(seqIn(key));
    if (!isWanted()) return [];
    target.image.history.load(history);
    return [...orphans, ...target.image.references.counted(counts)];
  } finally {
    await moment.close();
  }
}

interface Seen {
  readonly target: Target;
  readonly moment: Moment;
  readonly isWanted: () => boolean;
}

const add = (counts: Map<number, number>, seq: number): void =>
  void counts.set(seq, (counts.get(seq) ?? 0) + 1);

async function loadRetained(seen: Seen): Promise<void> {
  const { retained } = seen.target.image;
  for await (const key of keysOf(seen, spaceRange(Space.retained))) retained.loadValue(textIn(key));
  const tombstones: { channel: string; seq: number }[] = [];
  for await (const [key, value] of pagesOf(seen, spaceRange(Space.tombstone), (...page) =>
    seen.target.level.page(...page),
  ))
    tombstones.push({ channel: textIn(key), seq: seqOf(key, value) });
  if (!seen.isWanted()) return;
  tombstones.sort((one, other) => one.seq - other.seq);
  retained.loaded(tombstones.map(({ channel }) => channel));
}

function seqOf(key: Buffer, value: Buffer): number {
  try {
    return readMessage(key, value).seq;
  } catch (error) {
    if (error instanceof DamagedValue) return 0;
    throw error;
  }
}

async function loadHistory(seen: Seen, counts: Map<number, number>): Promise<Map<string, Past[]>> {
  const history = new Map<string, Past[]>();
  for await (const [key, value] of pagesOf(seen, spaceRange(Space.history), (...page) =>
    seen.target.level.page(...page),
  )) {
    const channel = textIn(key, 1, HISTORY_END);
    const past = history.get(channel) ?? [];
    past.push({ seq: seqIn(key), at: timeOf(key, value) });
    history.set(channel, past);
    add(counts, seqIn(key));
  }
  return history;
}

/** One that cannot be read is the first to go. */
function timeOf(key: Buffer, value: Buffer): number {
  try {
    return readNumber(key, value);
  } catch (error) {
    if (error instanceof DamagedValue) return 0;
    throw error;
  }
}

async function* keysOf(seen: Seen, range: Range): AsyncGenerator<Buffer> {
  const keys = async (...wanted: [Range, number, Moment]): Promise<[Buffer, Buffer][]> => {
    const page = await seen.target.level.keys(...wanted);
    return page.map((key) => [key, key]);
  };
  for await (const [key] of pagesOf(seen, range, keys)) yield key;
}

async function* pagesOf(
  { moment, isWanted }: Seen,
  range: Range,
  read: (range: Range, limit: number, at: Moment) => Promise<[Buffer, Buffer][]>,
): AsyncGenerator<[key: Buffer, value: Buffer]> {
  let from = range.gte;
  while (isWanted()) {
    const page = await read({ gte: from, lt: range.lt }, PAGE, moment);
    yield* page;
    const last = page.at(-1);
    if (last === undefined || page.length < PAGE) return;
    from = keyAfter(last[0]);
    await turn();
  }
}
