import type { Moment } from "../disk/level.ts";
import type { Past } from "../image/history-index.ts";
import { keyAfter } from "../image/image.ts";
import { SeqCounts } from "../image/seq-counts.ts";
import { DamagedValue } from "../layout/bytes.ts";
import { type Range, Space, seqIn, spaceRange, textIn } from "../layout/keys.ts";
import { readMessage, readNumber } from "../layout/records.ts";
import type { Target } from "../writing/writer.ts";

const PAGE = 2_048;
/** Space byte, then the name, then a zero and the number. */
const HISTORY_END = 9;

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** What was on disk at the start. */
export interface ReadThrough {
  /** Channels with a retained value, and those that are remembered as cleared. */
  readonly retained: number;
  readonly cleared: number;
  /** Messages of all histories. */
  readonly history: number;
  /** Bodies that nobody needs any more. */
  readonly unneeded: readonly number[];
}

/**
 * Learns behind the start what was on disk when it happened: who shares which body, each channel's history, the
 * retained channels. Ends early when `isWanted` says so.
 */
export async function loadBehind(
  target: Target,
  options: { readonly isWanted: () => boolean; readonly retainedKnown: () => void },
): Promise<ReadThrough> {
  const { isWanted } = options;
  const moment = target.level.moment();
  const seen = { target, moment, isWanted };
  try {
    const retained = await loadRetained(seen);
    options.retainedKnown();
    const counts = new SeqCounts();
    await eachKey(seen, Space.row, (key) => counts.add(seqIn(key)));
    const history = await loadHistory(seen, counts);
    const orphans: number[] = [];
    await eachKey(seen, Space.body, (key) => {
      const seq = seqIn(key);
      if (counts.get(seq) === undefined) orphans.push(seq);
    });
    for (const _ of counts.forgetSingles()) await turn();
    if (!isWanted()) return { ...retained, history: 0, unneeded: [] };
    target.image.history.load(history);
    for (const seq of target.image.references.counted(counts)) orphans.push(seq);
    const past = [...history.values()].reduce((sum, { length }) => sum + length, 0);
    return { ...retained, history: past, unneeded: orphans };
  } finally {
    await moment.close();
  }
}

interface Seen {
  readonly target: Target;
  readonly moment: Moment;
  readonly isWanted: () => boolean;
}

async function loadRetained(seen: Seen): Promise<Pick<ReadThrough, "retained" | "cleared">> {
  const { retained } = seen.target.image;
  let values = 0;
  await eachKey(seen, Space.retained, (key) => {
    values += 1;
    retained.loadValue(textIn(key));
  });
  const tombstones: { channel: string; seq: number }[] = [];
  await eachEntry(seen, Space.tombstone, (key, value) =>
    tombstones.push({ channel: textIn(key), seq: seqOf(key, value) }),
  );
  const told = { retained: values, cleared: tombstones.length };
  if (!seen.isWanted()) return told;
  tombstones.sort((one, other) => one.seq - other.seq);
  retained.loaded(tombstones.map(({ channel }) => channel));
  return told;
}

function seqOf(key: Buffer, value: Buffer): number {
  try {
    return readMessage(key, value).seq;
  } catch (error) {
    if (error instanceof DamagedValue) return 0;
    throw error;
  }
}

async function loadHistory(seen: Seen, counts: SeqCounts): Promise<Map<string, Past[]>> {
  const history = new Map<string, Past[]>();
  await eachEntry(seen, Space.history, (key, value) => {
    const channel = textIn(key, 1, HISTORY_END);
    const past = history.get(channel) ?? [];
    past.push({ seq: seqIn(key), at: timeOf(key, value) });
    history.set(channel, past);
    counts.add(seqIn(key));
  });
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

async function eachKey(seen: Seen, space: number, take: (key: Buffer) => void): Promise<void> {
  const { level } = seen.target;
  await paged(seen, space, async (range, at) => {
    const keys = await level.keys(range, PAGE, at);
    for (const key of keys) take(key);
    return keys;
  });
}

async function eachEntry(
  seen: Seen,
  space: number,
  take: (key: Buffer, value: Buffer) => void,
): Promise<void> {
  const { level } = seen.target;
  await paged(seen, space, async (range, at) => {
    const entries = await level.page(range, PAGE, at);
    for (const [key, value] of entries) take(key, value);
    return entries.map(([key]) => key);
  });
}

/** Page by page, with a turn of the loop between them; `read` answers the keys of its page. */
async function paged(
  { moment, isWanted }: Seen,
  space: number,
  read: (range: Range, at: Moment) => Promise<readonly Buffer[]>,
): Promise<void> {
  const { gte, lt } = spaceRange(space);
  for (let from = gte; isWanted(); ) {
    const keys = await read({ gte: from, lt }, moment);
    const last = keys.at(-1);
    if (last === undefined || keys.length < PAGE) return;
    from = keyAfter(last);
    await turn();
  }
}
