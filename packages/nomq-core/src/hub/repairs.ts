import { filterMatches, type Message } from "../message.ts";
import { type Core, isTombstone } from "./core.ts";
import { schedule } from "./enter.ts";
import { Entry, type Lane, messageBytes } from "./lane.ts";
import type { OwedCause, OwedItem, Scan } from "./owed.ts";
import type { Binding, Place } from "./place.ts";

const PAGE = 256;
const AGAIN_MS = 1_000;
/** Corrections that fail in a row wait longer each time. */
const EAGER_REPAIRS = 3;
const REPAIR_MS = 100;
const LONGEST_REPAIR_MS = 30_000;

/** Notes that the channel's retained state must be sent to this attachment. */
export function owe(core: Core, place: Place, what: { channel: string; cause: OwedCause }): void {
  const { channel, cause } = what;
  if (place.goneAs !== undefined) return;
  const item = place.owed.owe(channel, cause, core.numbers.last());
  const failures = place.owed.failures.get(channel) ?? 0;
  if (failures >= EAGER_REPAIRS && !item.isDelayed) {
    delay(core, place, { item, ms: Math.min(LONGEST_REPAIR_MS, REPAIR_MS * 2 ** Math.min(failures, 12)) });
  }
  route(core, place, channel);
}

/** Lets an owed channel go out once its lane is empty and no change of it waits for its commit. */
export function route(core: Core, place: Place, channel: string): void {
  const item = place.owed.items.get(channel);
  if (item === undefined || item.isDelayed || place.owed.ready.has(channel)) return;
  const lane = place.outbox.lanes.get(channel);
  if (lane !== undefined && !lane.isIdle && !item.isFirst) return;
  if (core.changes.has(channel)) {
    core.changes.park(channel, place);
    return;
  }
  place.owed.ready.set(channel, item);
}

/** The owed channel whose turn it is. */
export function nextOwed(core: Core, place: Place, binding: Binding): OwedItem | undefined {
  const { owed, outbox } = place;
  // Rows not read yet may hold older messages of any channel.
  if (owed.ready.size === 0 || outbox.tail.messages > 0 || binding.reading + outbox.unsent >= binding.window)
    return undefined;
  for (const [channel, item] of owed.ready) {
    const lane = outbox.lanes.get(channel);
    const isFree = lane === undefined || lane.isIdle || (item.isFirst && lane.open + lane.preparing === 0);
    if (isFree && lane?.isBlocked !== true && !core.changes.has(channel)) return item;
    owed.ready.delete(channel);
    route(core, place, channel);
    if (owed.ready.has(channel)) return undefined;
  }
  return undefined;
}

/** Reads the value of this moment and puts it in front of its lane. */
export function sendOwed(core: Core, place: Place, sending: { binding: Binding; item: OwedItem }): void {
  const { binding, item } = sending;
  const lane = place.outbox.laneOf(item.channel);
  place.owed.strike(item.channel);
  lane.preparing += 1;
  lane.isStruck = false;
  binding.reading += 1;
  const done = (ended: () => void): void => {
    lane.preparing -= 1;
    binding.reading -= 1;
    ended();
    settleLane(core, place, lane);
    core.engine.pump(place);
  };
  latest(core, item.channel).then(
    (value) => done(() => sendValue(core, place, { ...sending, lane, value })),
    (error: unknown) => {
      core.log.error("the store did not give a retained value", {
        channel: item.channel,
        error: String(error),
      });
      done(() => again(core, place, { item, lane, ms: AGAIN_MS }));
    },
  );
}

/** Owes all retained channels under the filters, page by page. */
export function scan(core: Core, place: Place, what: { filters: readonly string[]; cause: OwedCause }): void {
  const { filters, cause } = what;
  if (filters.length === 0) return;
  const seen = new Set<string>();
  // One that has not begun finds nothing that this one does not: a peer that is greeted again and again is asked for once.
  const idle = place.owed.scans.findIndex((one, at) => (at > 0 || !place.isScanning) && isSame(one, what));
  if (idle !== -1) place.owed.scans.splice(idle, 1);
  place.owed.scans.push({ filters, cause, seen });
  // A change that waits for its commit stood before this interest in the queue: it is read once it has landed.
  for (const channel of core.changes.channels()) {
    if (!filters.some((filter) => filterMatches(filter, channel))) continue;
    seen.add(channel);
    owe(core, place, { channel, cause });
  }
  if (!place.isScanning) void runScans(core, place);
}

function isSame(one: Scan, other: Pick<Scan, "filters" | "cause">): boolean {
  if (one.cause !== other.cause || one.filters.length !== other.filters.length) return false;
  return one.filters.every((filter, at) => filter === other.filters[at]);
}

async function runScans(core: Core, place: Place): Promise<void> {
  place.isScanning = true;
  for (let next = place.owed.scans[0]; next !== undefined; next = place.owed.scans[0]) {
    try {
      await runScan(core, place, next);
      if (place.owed.scans[0] === next) place.owed.scans.shift();
    } catch (error) {
      core.log.error("the store did not list retained values", { error: String(error) });
      await new Promise<void>((resolve) => core.engine.later(place, AGAIN_MS, resolve));
    }
  }
  place.isScanning = false;
}

async function runScan(core: Core, place: Place, next: Scan): Promise<void> {
  let after: string | undefined;
  for (;;) {
    const from = after === undefined ? {} : { after };
    const tombstones = next.cause === "repair";
    const page = await core.store.retained(next.filters, { ...from, limit: PAGE, tombstones });
    if (place.owed.scans[0] !== next) return;
    for (const message of page) found(core, place, { scan: next, message });
    core.engine.pump(place);
    after = page.at(-1)?.channel;
    if (page.length < PAGE) return;
    if (core.turn.spent()) await core.turn.next();
  }
}

function found(core: Core, place: Place, at: { scan: Scan; message: Message }): void {
  const { channel } = at.message;
  if (at.scan.seen.has(channel) || !core.engine.mayGet(place, channel)) return;
  // A change on its way to the peer carries the value itself.
  if (at.scan.cause === "retained" && hasChange(place.outbox.lanes.get(channel))) return;
  owe(core, place, { channel, cause: at.scan.cause });
}

/** Whether a retained change waits or is open in the lane. */
export function hasChange(lane: Lane | undefined): boolean {
  for (let entry = lane?.head; entry !== undefined; entry = entry.after)
    if (entry.message.retain) return true;
  return false;
}

async function latest(core: Core, channel: string): Promise<Message | undefined> {
  return core.store.latest(channel);
}

function sendValue(
  core: Core,
  place: Place,
  sending: { binding: Binding; item: OwedItem; lane: Lane; value: Message | undefined },
): void {
  const { binding, item, lane, value } = sending;
  if (place.goneAs !== undefined || (lane.isStruck && hasChange(lane))) return;
  if (place.active() !== binding || core.changes.has(item.channel)) {
    again(core, place, { item, lane, ms: 0 });
    return;
  }
  if (!core.engine.mayGet(place, item.channel)) return;
  const message = toSend(core, item, value);
  if (message === undefined) return;
  const deadline = core.time.deadline(message);
  const bytes = messageBytes(message);
  const entry = new Entry(
    { message, bytes, isStored: false, deadline, record: undefined, slot: -1 },
    item.cause,
  );
  // The store hears of it with its end: cut off by a crash it is owed again, and nothing was dropped.
  place.counts.accepted += 1;
  place.outbox.prepend(entry, lane);
  schedule(core, place, entry);
}

/** The value as it stands now; what has expired or was cleared is corrected with an empty payload. */
function toSend(core: Core, item: OwedItem, value: Message | undefined): Message | undefined {
  if (value !== undefined && !isTombstone(value) && !core.time.isExpired(value)) return value;
  if (item.cause === "retained") return undefined;
  const seq = core.numbers.next();
  const publishedAt = core.time.now();
  const empty = { payload: new Uint8Array(), qos: 1, retain: true, priority: 0, origin: "hub" } as const;
  return { id: core.numbers.idOf(seq), seq, channel: item.channel, publishedAt, ...empty };
}

function again(core: Core, place: Place, wait: { item: OwedItem; lane: Lane; ms: number }): void {
  const { item, lane, ms } = wait;
  if (place.goneAs !== undefined || hasChange(lane)) return;
  const kept = place.owed.owe(item.channel, item.cause, item.order);
  kept.isFirst = item.isFirst || (item.cause === "retained" && lane.head !== undefined);
  lane.isOwedFirst = kept.isFirst;
  if (ms > 0) delay(core, place, { item: kept, ms });
  else route(core, place, item.channel);
}

function delay(core: Core, place: Place, wait: { item: OwedItem; ms: number }): void {
  wait.item.isDelayed = true;
  place.owed.ready.delete(wait.item.channel);
  core.engine.later(place, wait.ms, () => {
    wait.item.isDelayed = false;
    route(core, place, wait.item.channel);
    core.engine.pump(place);
  });
}

function settleLane(core: Core, place: Place, lane: Lane): void {
  // What came to be owed during the reading waits for the lane, not the lane for it.
  lane.isOwedFirst = place.owed.items.get(lane.channel)?.isFirst === true;
  if (lane.isIdle) {
    place.outbox.rest(lane);
    route(core, place, lane.channel);
  } else place.outbox.offer(lane, place.binding?.isOrdered === true);
}
