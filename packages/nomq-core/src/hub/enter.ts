import type { Core, End } from "./core.ts";
import { paid } from "./keeper.ts";
import { type Arrival, Entry } from "./lane.ts";
import type { Place } from "./place.ts";

const PRIORITIES = 16;
/** How long "now" lasts for a message with TTL 0: a commit takes time, and lifetimes count in seconds. */
const NOW_MS = 1_000;

/** Takes a message into an outbox, in the order of commits. */
export function enter(core: Core, place: Place, arrival: Arrival): void {
  const entry = new Entry(arrival, "live");
  place.counts.accepted += 1;
  if (!entry.isStored) core.writer.countsFor(place).accepted += 1;
  const { message } = entry;
  if (place.goneAs !== undefined)
    finish(core, place, { entry, end: { is: "dropped", reason: place.goneAs } });
  else if (message.expiresAt === message.publishedAt) enterNow(core, place, entry);
  else if (!makeRoom(core, place, entry))
    finish(core, place, { entry, end: { is: "dropped", reason: "overflow" } });
  else if (entry.isStored && staysInStore(core, place)) addToTail(core, place, entry);
  else if (isAheadOfTail(place, entry))
    finish(core, place, { entry, end: { is: "dropped", reason: "superseded" } });
  else {
    precede(core, place, entry);
    hold(core, place, entry);
    core.engine.pump(place);
  }
}

/** Puts the entry at the end of its lane, to expire in time. */
export function hold(core: Core, place: Place, entry: Entry): void {
  const lane = place.outbox.append(entry);
  schedule(core, place, entry);
  place.outbox.offer(lane, place.binding?.isOrdered === true);
}

/** Ends the message at this attachment: counts, receipt, store, and what may go next. */
export function finish(core: Core, place: Place, { entry, end }: { entry: Entry; end: End }): void {
  const { lane, message } = entry;
  if (entry.state === "done") return;
  place.outbox.remove(entry);
  entry.state = "done";
  if (lane !== undefined) core.time.forget(entry);
  record(core, place, { entry, end });
  const isLost = end.is === "dropped" || end.is === "expired" || end.is === "uncertain";
  if (entry.cause !== "live" && end.is === "delivered") place.owed.failures.delete(message.channel);
  if (message.retain && isLost && place.goneAs === undefined)
    core.engine.owe(place, message.channel, "repair");
  if (message.retain && end.is === "delivered" && place.keptOwed.size > 0) paid(core, place, message.channel);
  if (lane === undefined) {
    if (entry.isStored) leaveUnread(core, place, message.seq);
    return;
  }
  if (lane.isIdle) {
    place.outbox.rest(lane);
    core.engine.route(place, lane.channel);
  } else place.outbox.offer(lane, place.binding?.isOrdered === true);
  if (place.outbox.tail.messages > 0) core.engine.readTail(place);
}

export function schedule(core: Core, place: Place, entry: Entry): void {
  if (entry.deadline === Number.POSITIVE_INFINITY) return;
  entry.whenDue = (due) => {
    core.engine.finish(place, due, { is: "expired" });
    core.engine.pump(place);
  };
  core.time.schedule(entry);
}

function record(core: Core, place: Place, ended: { entry: Entry; end: End }): void {
  const { entry, end } = ended;
  const { is, reason } = end;
  place.counts.settle(is, reason);
  const at = core.time.clock.now();
  if (entry.isStored) {
    const said = reason === undefined ? {} : { reason };
    core.writer.fact({ write: "outcome", name: place.name, seq: entry.message.seq, is, ...said, at });
  } else {
    const counts = core.writer.countsFor(place);
    if (entry.cause !== "live") counts.accepted += 1;
    counts.settle(is, reason);
  }
  for (const write of end.state ?? []) core.writer.fact(write);
  if (entry.cause !== "live") return;
  if (entry.record === undefined) core.receipts.settle(entry.message.id, place.name, { is, reason, at });
  else entry.record.settle(entry.slot, { is, reason, at });
}

/** TTL 0: to whom can take it now. */
function enterNow(core: Core, place: Place, entry: Entry): void {
  // A retained change has waited for its commit: its moment may be over.
  if (entry.deadline + NOW_MS < core.time.monotonic() || !canTakeNow(place, entry)) {
    finish(core, place, { entry, end: { is: "expired" } });
    return;
  }
  precede(core, place, entry);
  const lane = place.outbox.append(entry);
  const isTooLarge =
    entry.message.payload.byteLength > (place.binding?.peer.maxPayload ?? Number.POSITIVE_INFINITY);
  if (isTooLarge) finish(core, place, { entry, end: { is: "refused", reason: "too-large" } });
  else if (lane.isOwedFirst) finish(core, place, { entry, end: { is: "expired" } });
  else core.engine.callNow(place, entry);
}

function canTakeNow(place: Place, entry: Entry): boolean {
  const binding = place.active();
  // Older changes of the channel may wait in the store.
  if (entry.message.retain && place.outbox.tail.messages > 0) return false;
  if (binding === undefined || binding.open >= binding.window || !place.outbox.hasRoom(entry.bytes))
    return false;
  const lane = place.outbox.lanes.get(entry.message.channel);
  return lane === undefined || lane.isIdle;
}

/** A live message settles what its channel is owed: it strikes it off, or lets it go before. */
function precede(core: Core, place: Place, entry: Entry): void {
  const { owed, outbox } = place;
  const { channel, retain } = entry.message;
  if (owed.scans.length > 0 && owed.sees(channel, retain)) core.engine.owe(place, channel, "retained");
  const lane = outbox.lanes.get(channel);
  if (retain && lane !== undefined) {
    lane.isStruck = true;
    lane.isOwedFirst = false;
  }
  if (owed.items.size === 0) return;
  const item = owed.items.get(channel);
  if (item === undefined) return;
  if (retain) owed.strike(channel);
  else if (item.cause === "retained" && (lane === undefined || lane.isIdle)) {
    item.isFirst = true;
    outbox.laneOf(channel).isOwedFirst = true;
  }
}

/** The row of a newcomer that was not taken stays in the store until its end is committed. */
function leaveUnread(core: Core, place: Place, seq: number): void {
  const { tail } = place.outbox;
  tail.ended.set(seq, false);
  const landed = (): void => {
    // A reading under way may have begun before.
    if (tail.isReading) tail.ended.set(seq, true);
    else tail.ended.delete(seq);
  };
  core.writer.landing().then(landed, landed);
}

/** Whether the row is only counted now and read ahead later. */
function staysInStore(core: Core, place: Place): boolean {
  const { outbox, binding } = place;
  const isFull = outbox.held >= core.limits.held || outbox.heldBytes >= core.limits.heldBytes;
  return outbox.tail.messages > 0 || binding === undefined || isFull;
}

/**
 * A change without a row would overtake older ones in the store, for the peer was there when it was decided and is
 * not any more. The channel is owed instead.
 */
function isAheadOfTail(place: Place, entry: Entry): boolean {
  return entry.message.retain && !entry.isStored && place.outbox.tail.messages > 0;
}

function addToTail(core: Core, place: Place, entry: Entry): void {
  const { tail } = place.outbox;
  if (tail.messages === 0) tail.after = Math.max(tail.after, entry.message.seq - 1);
  tail.messages += 1;
  tail.bytes += entry.bytes;
  const { channel, retain } = entry.message;
  const lane = place.outbox.lanes.get(channel);
  if (retain && lane !== undefined) lane.isOwedFirst = false;
  if (retain) place.owed.strike(channel);
  core.engine.readTail(place);
}

/** Makes the room the limits ask for; false when the newcomer itself must go. */
function makeRoom(core: Core, place: Place, entry: Entry): boolean {
  const { outbox } = place;
  if (outbox.hasRoom(entry.bytes)) return true;
  // It was admitted and its room kept: corrections that came meanwhile do not turn it away.
  if (outbox.limits.whenFull === "refuse" && entry.message.qos > 0) return true;
  if (entry.bytes > outbox.limits.bytes) return false;
  core.time.sweep();
  while (!outbox.hasRoom(entry.bytes)) {
    if (outbox.limits.whenFull !== "drop-oldest") return false;
    const victim = outbox.victims.first();
    if (victim === undefined || rank(entry) < rank(victim)) return false;
    finish(core, place, { entry: victim, end: { is: "dropped", reason: "overflow" } });
  }
  return true;
}

function rank(entry: Entry): number {
  return entry.message.priority + (entry.message.qos === 0 ? 0 : PRIORITIES);
}
