import type { Clock } from "../clock.ts";
import type { Log } from "../log.ts";
import type { Core } from "./core.ts";
import { type KeptClock, keepAway, keepClock, keepOwed, type OwnState } from "./own-state.ts";
import type { Place } from "./place.ts";
import { type ClockStep, STEP_MS } from "./time.ts";

const SAVE_EVERY_MS = 60_000;
/** Channels kept as owed for one attachment; further ones are owed for as long as the process runs. */
const MOST_OWED = 10_000;

/**
 * By how much the wall clock was set while nobody looked, milliseconds; 0 where it was not, or nobody can tell. Within
 * one boot of the system its monotonic clock tells; else only that time does not run backwards.
 */
export function setMeanwhile(kept: KeptClock | undefined, clock: Clock): number {
  if (kept === undefined) return 0;
  const now = clock.now();
  const boot = clock.boot?.();
  const isSameBoot = boot !== undefined && boot.id === kept.boot?.id && boot.ms >= kept.boot.ms;
  const passed = isSameBoot ? boot.ms - kept.boot.ms : Math.max(0, now - kept.wall);
  const by = now - kept.wall - passed;
  return Math.abs(by) > STEP_MS ? by : 0;
}

/** The steps that expiries of earlier runs' messages need, one while nobody looked among them. */
export function stepsFrom(
  own: OwnState,
  at: { readonly clock: Clock; readonly log: Log; readonly firstSeq: number },
): readonly ClockStep[] {
  if (own.clock === undefined) return [];
  const by = setMeanwhile(own.clock, at.clock);
  if (by === 0) return own.clock.steps;
  at.log.warn("the wall clock was set while nobody ran; expiries move with it", { byMs: Math.round(by) });
  return [...own.clock.steps, { below: at.firstSeq, by }];
}

/** Writes down what the clock is now. */
export function saveClock(core: Core): void {
  const { clock } = core.time;
  const boot = clock.boot?.();
  const kept = { wall: clock.now(), steps: core.time.steps, ...(boot === undefined ? {} : { boot }) };
  core.clockSavedAt = core.time.monotonic();
  core.writer.fact(keepClock(kept));
}

/** Asked every ten seconds; a clock a minute old is good enough. */
export function saveClockInTime(core: Core): void {
  if (core.time.monotonic() - core.clockSavedAt >= SAVE_EVERY_MS) saveClock(core);
}

/** Takes up what an earlier run kept of an attachment. */
export function recallPlace(core: Core, place: Place, own: OwnState): void {
  const since = own.away.get(place.name);
  if (since !== undefined) {
    // Said in the wall time of then.
    const moved = core.clockSetBy;
    place.awayBefore = Math.max(0, core.time.clock.now() - since - moved);
    place.keptAway = since + moved;
  }
  for (const channel of own.owed.get(place.name) ?? []) place.keptOwed.add(channel);
}

/** Writes down who is not claimed since when, and forgets it of those who are. */
export function saveAway(core: Core): void {
  for (const place of core.places.values()) {
    if (!place.isDurable) continue;
    const isAway = place.binding === undefined && !core.claimed.has(place.name);
    const since = core.time.clock.now() - awayMs(core, place);
    if (!isAway) claim(core, place);
    else if (place.keptAway === undefined || Math.abs(place.keptAway - since) > STEP_MS) {
      place.keptAway = since;
      core.writer.fact(keepAway(place.name, since));
    }
  }
}

/** For how long nobody has claimed the attachment, in this run and before. */
export const awayMs = (core: Core, place: Place): number =>
  core.time.monotonic() - place.idleSince + place.awayBefore;

/** The attachment is there. */
export function claim(core: Core, place: Place): void {
  place.awayBefore = 0;
  if (place.keptAway === undefined) return;
  place.keptAway = undefined;
  core.writer.fact(keepAway(place.name, undefined));
}

/** Its own retained change was refused: the store may never have held the channel, and a scan would not find it. */
export function oweForGood(core: Core, place: Place, channel: string): void {
  if (!place.isDurable || place.keptOwed.size >= MOST_OWED || place.keptOwed.has(channel)) return;
  place.keptOwed.add(channel);
  core.writer.fact(keepOwed(place.name, channel, true));
}

/** It has the channel's state. */
export function paid(core: Core, place: Place, channel: string): void {
  if (place.keptOwed.delete(channel)) core.writer.fact(keepOwed(place.name, channel, false));
}

/** The attachment is forgotten, with all that was kept of it. */
export function forgetKept(core: Core, place: Place): void {
  claim(core, place);
  for (const channel of [...place.keptOwed]) paid(core, place, channel);
}
