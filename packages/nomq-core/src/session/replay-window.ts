import { CLOCK_TOLERANCE } from "./clock-offset.ts";
import { type Forgotten, type HeldPackets, nothingHeld, type Seen } from "./held-packets.ts";

/** Seconds below the newest timestamp within which packets may still arrive out of order. */
const WINDOW_SECONDS = 60;
const SETTLED_SECONDS = 600;

/** What one session (key, session id) may not send again. */
export interface ReplayWindow {
  /** The sender's clock less ours when the session began, seconds. */
  offset: number;
  /** The highest offset measured: a late packet measures too low. Outgoing packets are stamped with it. */
  clock: number;
  /** The highest timestamp, T. */
  newest: number;
  /** Packets stamped at or below it are replays. Never under T - 60 s. */
  floor: number;
  /** When a fresh packet came last, Unix seconds. */
  heardAt: number;
  /** The packets seen above the floor. */
  held: HeldPackets;
  /** What the store holds as the floor, where that is higher: a busy session is stored by floor, not by packet. */
  storedFloor: number;
  /**
   * The offset before our wall clock stepped forward. Such a step may be a sleep of this machine, during which the
   * sender's clock went on: its next packet tells. Nothing recorded can come from ahead of us, so this lets no replay in.
   */
  former: number | undefined;
  /** The known peer whose address the session was heard from. */
  peer: string | undefined;
  /** A packet of it carried our mark. */
  marked: boolean;
  /** Of the marks seen, those of messages that nobody could be handed, each with the address it came from. */
  withheld: Map<number, string> | undefined;
}

const MOST_WITHHELD = 64;

/** The first 48 bits of a MAC, above all nonces: exact in a number, and nobody without the key can aim at one. */
export function macMark(mac: Uint8Array): number {
  let mark = 0;
  for (let at = 0; at < 6; at += 1) mark = mark * 256 + (mac[at] ?? 0);
  return mark + 2 ** 32;
}

/** A window for a session that begins with this packet, which is still to be noted. */
export function openWindow(timestamp: number, nowSeconds: number): ReplayWindow {
  const offset = timestamp - nowSeconds;
  return {
    offset,
    clock: offset,
    newest: timestamp,
    floor: timestamp - WINDOW_SECONDS,
    heardAt: nowSeconds,
    held: nothingHeld,
    storedFloor: 0,
    former: undefined,
    peer: undefined,
    marked: false,
    withheld: undefined,
  };
}

/**
 * `replay`: at or below T - 60 s, or MAC or nonce known. `stale`: more than 30 s off the session's clock. `withheld`:
 * known, within the clock's bounds, and never handed to anybody.
 */
export function judge(
  window: ReplayWindow,
  seen: Seen,
  nowSeconds: number,
): "fresh" | "replay" | "stale" | "withheld" {
  if (seen.timestamp <= window.floor) return "replay";
  const isTimely = isOnClock(window, seen, nowSeconds);
  if (!window.held.has(seen.mark)) return isTimely ? "fresh" : "stale";
  return isTimely && window.withheld?.has(seen.mark) === true ? "withheld" : "replay";
}

/**
 * Lets the same bytes come again from the same address, because nobody was handed what they say. Nothing else of the
 * window changes: a copy teaches nothing. Of one session at most 64; further ones stay replays.
 */
export function withhold(window: ReplayWindow, mark: number, from: string): void {
  window.withheld ??= new Map();
  if (window.withheld.size < MOST_WITHHELD) window.withheld.set(mark, from);
}

/** Whether a withheld packet may be handed over now; from then on it is a replay. */
export function release(window: ReplayWindow, mark: number): boolean {
  return window.withheld?.delete(mark) === true;
}

function isOnClock(window: ReplayWindow, seen: Seen, nowSeconds: number): boolean {
  if (isNear(window.offset, seen, nowSeconds)) return true;
  const { former, newest } = window;
  return former !== undefined && seen.timestamp > newest && isNear(former, seen, nowSeconds);
}

function isNear(offset: number, { timestamp }: Seen, nowSeconds: number): boolean {
  return Math.abs(timestamp - (nowSeconds + offset)) <= CLOCK_TOLERANCE;
}

/** After a step of our wall clock by `seconds`: the window stays true to the sender's clock. */
export function rebase(window: ReplayWindow, seconds: number): void {
  if (seconds > CLOCK_TOLERANCE) window.former = window.offset;
  window.offset -= seconds;
  window.clock -= seconds;
  window.heardAt += seconds;
}

/**
 * Notes a fresh packet and forgets what has fallen to the floor. With `limit` packets held, the floor rises over the
 * oldest second; when all are of one second the packet is `limited` and nothing changes.
 */
export function note(
  window: ReplayWindow,
  seen: Seen,
  at: { readonly nowSeconds: number; readonly limit: number },
): readonly Forgotten[] | "limited" {
  if (window.held.size >= at.limit && !canRaise(window, seen)) return "limited";
  if (window.former !== undefined) {
    if (!isNear(window.offset, seen, at.nowSeconds)) window.offset = window.former;
    window.former = undefined;
  }
  window.newest = Math.max(window.newest, seen.timestamp);
  window.clock = Math.max(window.clock, seen.timestamp - at.nowSeconds);
  window.heardAt = at.nowSeconds;
  const oldest = window.held.size >= at.limit ? window.held.oldest() : 0;
  const forgotten = raiseFloor(window, Math.max(window.newest - WINDOW_SECONDS, oldest));
  keep(window, seen);
  return forgotten;
}

/** Holds one packet, as noted or read back from a store. */
export function keep(window: ReplayWindow, seen: Seen): void {
  if (!window.held.has(seen.mark)) window.held = window.held.with(seen);
}

/**
 * A session that has been silent for ten minutes needs no marks: every timestamp up to T is stale, so the floor rises
 * to T. (Devices begin a new session after five.) Returns what was forgotten.
 */
export function settleSilent(window: ReplayWindow, nowSeconds: number): readonly Forgotten[] {
  const silent = nowSeconds + window.offset - window.newest > SETTLED_SECONDS;
  return silent ? raiseFloor(window, window.newest) : [];
}

function canRaise(window: ReplayWindow, seen: Seen): boolean {
  const newest = Math.max(window.newest, seen.timestamp);
  const oldest = window.held.oldest();
  return oldest < newest && oldest < seen.timestamp;
}

function raiseFloor(window: ReplayWindow, floor: number): readonly Forgotten[] {
  if (floor <= window.floor) return [];
  window.floor = floor;
  const forgotten: Forgotten[] = [];
  window.held = window.held.above(floor, forgotten);
  for (const mark of window.withheld?.keys() ?? []) if (!window.held.has(mark)) window.withheld?.delete(mark);
  return forgotten;
}
