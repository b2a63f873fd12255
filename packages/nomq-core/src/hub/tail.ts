import type { Message } from "../message.ts";
import type { Core } from "./core.ts";
import { hold } from "./enter.ts";
import { Entry, messageBytes } from "./lane.ts";
import type { Place } from "./place.ts";

const PAGE = 256;
const AGAIN_MS = 1_000;

/** Reads waiting rows ahead of need: for a bound peer, and for an outbox that will soon need victims. */
export function readTail(core: Core, place: Place): void {
  const { tail } = place.outbox;
  if (tail.isReading || tail.messages === 0 || place.goneAs !== undefined || !isNeeded(core, place)) return;
  tail.isReading = true;
  waiting(core, place).then(
    (rows) => {
      tail.isReading = false;
      if (place.goneAs === undefined) take(core, place, rows);
    },
    (error: unknown) => {
      core.log.error("the store did not give waiting messages", {
        attachment: place.name,
        error: String(error),
      });
      core.engine.later(place, AGAIN_MS, () => {
        tail.isReading = false;
        readTail(core, place);
      });
    },
  );
}

type Row = { readonly message: Message; readonly attempt: number };

async function waiting(core: Core, place: Place): Promise<readonly Row[]> {
  const { tail } = place.outbox;
  // Large messages come in small pages: what one attachment has in memory stays within its share.
  const average = Math.max(1, tail.bytes / Math.max(1, tail.messages));
  const limit = Math.min(PAGE, Math.max(1, Math.floor(core.limits.heldBytes / 4 / average)));
  return core.store.waiting(place.name, tail.after, limit);
}

function isNeeded(core: Core, place: Place): boolean {
  const { held, heldBytes, messages, bytes, limits } = place.outbox;
  if (place.binding !== undefined) {
    const hasRoom = held <= core.limits.held - PAGE || held * 2 <= core.limits.held;
    return hasRoom && heldBytes * 2 <= core.limits.heldBytes;
  }
  return held < PAGE / 2 && (messages * 4 >= limits.messages * 3 || bytes * 4 >= limits.bytes * 3);
}

function take(core: Core, place: Place, rows: readonly Row[]): void {
  const { outbox } = place;
  const { tail } = outbox;
  // Rows whose commit has not been told yet come with it.
  const due = rows.filter((row) => row.message.seq <= core.appliedSeq);
  for (const row of due) {
    if (tail.ended.has(row.message.seq)) tail.after = row.message.seq;
    else hold(core, place, entryOf(core, place, row));
  }
  for (const [seq, isCommitted] of tail.ended) {
    if (isCommitted || seq <= tail.after) tail.ended.delete(seq);
  }
  if (rows.length === 0) lose(core, place);
  core.engine.pump(place);
  if (due.length > 0 && tail.messages > 0) readTail(core, place);
}

function entryOf(core: Core, place: Place, row: Row): Entry {
  const { message } = row;
  const { tail } = place.outbox;
  const bytes = messageBytes(message);
  tail.after = message.seq;
  tail.messages -= 1;
  tail.bytes = tail.messages === 0 ? 0 : Math.max(0, tail.bytes - bytes);
  const record = core.receipts.find(message.id);
  const slot = record?.placeOf(place.name) ?? -1;
  const deadline = core.time.deadline(message);
  const entry = new Entry({ message, bytes, isStored: true, deadline, record, slot }, "live");
  // QoS 2 attempts are committed; of the others an earlier run may have sent any.
  const atLeast = message.qos !== 2 && message.seq < place.firstOfRun ? 1 : 0;
  entry.attempt = Math.max(row.attempt, atLeast);
  entry.marked = row.attempt;
  return entry;
}

/** The store counted rows that it cannot give. */
function lose(core: Core, place: Place): void {
  const { tail } = place.outbox;
  core.log.error("the store counts waiting messages that it does not hold", {
    attachment: place.name,
    messages: tail.messages,
  });
  place.counts.drop("corrupt", tail.messages);
  core.writer.countsFor(place).drop("corrupt", tail.messages);
  tail.messages = 0;
  tail.bytes = 0;
}
