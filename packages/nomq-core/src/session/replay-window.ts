import { CLOCK_TOLERANCE } from "./clock-offset.ts";

/** Seconds below the newest timestamp within which packets may still arrive out of order. */
const WINDOW_SECONDS = 60;
const SETTLED_SECONDS = 600;

/** What tells one packet of a session from another. */
export interface Seen {
  /** The sender's seconds. */
  readonly timestamp: number;
  /** Start of the MAC, 48 bits: see {@link macMark}. */
  readonly mac: number;
  /** Of a PUBLISH. */
  readonly nonce?: number;
}

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
  /** By timestamp, the MACs seen above the floor, with the nonce of each PUBLISH. */
  readonly seconds: Map<number, Map<number, number | undefined>>;
  readonly nonces: Set<number>;
  /** MACs held. */
  size: number;
  /** MACs of which the store holds a record. */
  readonly stored: Set<number>;
  /** What the store holds as the floor, where that is higher: a busy session is stored by floor, not by packet. */
  storedFloor: number;
  /** The known peer whose address the session was heard from. */
  peer?: string;
  /** A packet of it carried our mark. */
  marked: boolean;
}

/** The first 48 bits of a MAC: exact in a number, and nobody without the key can aim at one. */
export function macMark(mac: Uint8Array): number {
  let mark = 0;
  for (let at = 0; at < 6; at += 1) mark = mark * 256 + (mac[at] ?? 0);
  return mark;
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
    seconds: new Map(),
    nonces: new Set(),
    size: 0,
    stored: new Set(),
    storedFloor: 0,
    marked: false,
  };
}

/** `replay`: at or below T - 60 s, or MAC or nonce known. `stale`: more than 30 s off the session's clock. */
export function judge(window: ReplayWindow, seen: Seen, nowSeconds: number): "fresh" | "replay" | "stale" {
  if (seen.timestamp <= window.floor || window.seconds.get(seen.timestamp)?.has(seen.mac)) return "replay";
  if (seen.nonce !== undefined && window.nonces.has(seen.nonce)) return "replay";
  const off = seen.timestamp - (nowSeconds + window.offset);
  return Math.abs(off) <= CLOCK_TOLERANCE ? "fresh" : "stale";
}

/** A packet that a window has forgotten: it lies at or below the floor. */
export type Forgotten = readonly [timestamp: number, mac: number];

/**
 * Notes a fresh packet and forgets what has fallen to the floor. With `limit` packets held, the floor rises over the
 * oldest second; when all are of one second the packet is `limited` and nothing changes.
 */
export function note(
  window: ReplayWindow,
  seen: Seen,
  at: { readonly nowSeconds: number; readonly limit: number },
): readonly Forgotten[] | "limited" {
  if (window.size >= at.limit && !canRaise(window, seen)) return "limited";
  window.newest = Math.max(window.newest, seen.timestamp);
  window.clock = Math.max(window.clock, seen.timestamp - at.nowSeconds);
  window.heardAt = at.nowSeconds;
  const oldest = window.size >= at.limit ? Math.min(...window.seconds.keys()) : 0;
  const forgotten = raiseFloor(window, Math.max(window.newest - WINDOW_SECONDS, oldest));
  keep(window, seen);
  return forgotten;
}

/** Holds one packet, as noted or read back from a store. */
export function keep(window: ReplayWindow, seen: Seen): void {
  const second = window.seconds.get(seen.timestamp) ?? new Map<number, number | undefined>();
  window.seconds.set(seen.timestamp, second);
  if (second.has(seen.mac)) return;
  second.set(seen.mac, seen.nonce);
  if (seen.nonce !== undefined) window.nonces.add(seen.nonce);
  window.size += 1;
}

/**
 * A session that has been silent for ten minutes needs no MACs: every timestamp up to T is stale, so the floor rises
 * to T. (Its nonces go too; devices begin a new session after five minutes.) Returns what was forgotten.
 */
export function settleSilent(window: ReplayWindow, nowSeconds: number): readonly Forgotten[] {
  const silent = nowSeconds + window.offset - window.newest > SETTLED_SECONDS;
  return silent ? raiseFloor(window, window.newest) : [];
}

function canRaise(window: ReplayWindow, seen: Seen): boolean {
  const newest = Math.max(window.newest, seen.timestamp);
  const oldest = Math.min(...window.seconds.keys());
  return oldest < newest && oldest < seen.timestamp;
}

function raiseFloor(window: ReplayWindow, floor: number): readonly Forgotten[] {
  if (floor <= window.floor) return [];
  window.floor = floor;
  const forgotten: Forgotten[] = [];
  for (const [timestamp, second] of window.seconds) {
    if (timestamp > floor) continue;
    window.seconds.delete(timestamp);
    window.size -= second.size;
    for (const [mac, nonce] of second) {
      if (nonce !== undefined) window.nonces.delete(nonce);
      forgotten.push([timestamp, mac]);
    }
  }
  return forgotten;
}
