import type { StateChange } from "../bridge.ts";
import { type ClockPolicy, isFirstOffset, lagOf } from "./clock-offset.ts";
import type { Seen } from "./held-packets.ts";
import { deletesOf, type Noted } from "./note-book.ts";
import { judge, keep, note, openWindow, type ReplayWindow, rebase, settleSilent } from "./replay-window.ts";
import { deleteWindow, headChange, packetChange, readRecord, type SessionName } from "./window-records.ts";

/** Windows live longer than any offset accepted at first contact, so that none comes back as another time zone. */
const LIFE_SECONDS = 28 * 3600;

/** A packet to be judged. */
export interface Candidate extends Seen, SessionName {
  /** Asked at the session's first packet. */
  readonly policy: () => ClockPolicy;
  /** Whether it is from where a configured peer is; asked at the session's first packet. Default: it is not. */
  readonly isKnown?: () => boolean;
  /** An ACK, PUBREC or PUBCOMP from where its peer is configured: where nothing waits for it, it does nothing. */
  readonly isAnswer?: boolean;
}

/** The verdict on one packet. */
export type Judgement =
  | {
      readonly is: "fresh" /** The session's first packet. */;
      readonly first: boolean;
      readonly noted: Noted;
    }
  | { readonly is: "replay" | "limited" }
  /** `before` is the offset of its session. */
  | { readonly is: "stale"; readonly offset: number; readonly before: number }
  /** Seen before and handed to nobody. */
  | { readonly is: "withheld"; readonly noted: Noted }
  | { readonly is: "clock-unknown"; readonly offset: number };

/** The windows of every session heard in the last 28 h. */
export interface ReplayWindows {
  /** Judges a packet and, if fresh, notes it. */
  judge(candidate: Candidate, nowSeconds: number): Judgement;
  get(session: SessionName): ReplayWindow | undefined;
  /** Every window, the longest silent first. */
  all(): Iterable<{ readonly session: SessionName; readonly window: ReplayWindow }>;
  /**
   * Takes back records in any order; junk is ignored. After a crash the notes of the last second may be missing: but for
   * answers, what was stamped before now is then a replay.
   */
  restore(
    records: Iterable<readonly [key: Uint8Array, value: Uint8Array]>,
    nowSeconds: number,
    after?: "crash" | "end",
  ): void;
  /**
   * Lets go of what can no longer matter: of marks once all of a session is stale, of windows after 28 h. Looks at so
   * many sessions, default all; the next call goes on from there.
   */
  sweep(nowSeconds: number, sessions?: number): readonly StateChange[];
  /** Whether a sweep has sessions left to look at. */
  readonly isSweeping: boolean;
  /** After a step of our wall clock by `seconds`: offsets stay true to the peers' clocks. */
  rebase(seconds: number): void;
  /** The record of every window, as after a rebase. */
  heads(): readonly StateChange[];
  readonly size: number;
}

/** A session, which is its own name, and its window. */
class Entry implements SessionName {
  readonly keyId: string;
  readonly sessionId: number;
  readonly window: ReplayWindow;
  touchedAt: number;

  constructor({ keyId, sessionId }: SessionName, window: ReplayWindow, touchedAt: number) {
    this.keyId = keyId;
    this.sessionId = sessionId;
    this.window = window;
    this.touchedAt = touchedAt;
  }

  get session(): SessionName {
    return this;
  }
}

/** To let go of so many takes as long as a look at a session. */
const PACKETS_OF_A_LOOK = 16;
/** While a packet waits for a place. */
const FORGOTTEN_AT_ONCE = 64;
/** Packets remembered by all windows together, in windows that are full. */
const MOST_FULL = 16;
/** Of each window while as many are remembered. */
const FEW_PACKETS = 16;

/** Makes a table for `sessions` windows of `packets` each; when full, a new session is `limited`. */
export function createReplayWindows(limits: { sessions: number; packets: number }): ReplayWindows {
  return new WindowTable(limits);
}

class WindowTable implements ReplayWindows {
  readonly #limits: { sessions: number; packets: number };
  // In the order of their last packet, to the minute.
  readonly #entries = new Map<number, Entry>();
  readonly #keyNumbers = new Map<string, number>();
  // Those that hold marks.
  readonly #holding = new Set<Entry>();
  #unsaved: StateChange[] = [];
  /** Packets held by all of them. */
  #held = 0;
  /** When they were restored after a crash, Unix seconds. */
  #crashedAt: number | undefined;
  /** Those that the sweep under way has not looked at. */
  #toSweep: Iterator<Entry> | undefined;

  constructor(limits: { sessions: number; packets: number }) {
    this.#limits = limits;
  }

  judge(candidate: Candidate, nowSeconds: number): Judgement {
    const known = this.#entries.get(this.#numberOf(candidate));
    if (this.#isOfBefore(candidate, known?.window, nowSeconds)) return { is: "replay" };
    if (known !== undefined) {
      const { session, window } = known;
      const verdict = judge(window, candidate, nowSeconds);
      if (verdict === "replay") return { is: "replay" };
      if (verdict === "stale") {
        return { is: "stale", offset: candidate.timestamp - nowSeconds, before: window.offset };
      }
      if (verdict === "withheld") {
        return { is: "withheld", noted: { session, window, seen: candidate, forgotten: [] } };
      }
    }
    const entry = known ?? this.#begin(candidate, nowSeconds);
    if (entry === "full") return { is: "limited" };
    if (entry === undefined) return { is: "clock-unknown", offset: candidate.timestamp - nowSeconds };
    const before = entry.window.held.size;
    const forgotten = note(entry.window, candidate, { nowSeconds, limit: this.#most() });
    if (forgotten === "limited") return { is: "limited" };
    this.#held += entry.window.held.size - before;
    this.#holding.add(entry);
    if (nowSeconds - entry.touchedAt > 60) this.#put(entry, nowSeconds);
    const noted = { session: entry.session, window: entry.window, seen: candidate, forgotten };
    return { is: "fresh", first: known === undefined, noted };
  }

  get(session: SessionName): ReplayWindow | undefined {
    return this.#entries.get(this.#numberOf(session))?.window;
  }

  all(): Iterable<Entry> {
    return this.#entries.values();
  }

  restore(
    records: Iterable<readonly [Uint8Array, Uint8Array]>,
    nowSeconds: number,
    after: "crash" | "end" = "end",
  ): void {
    if (after === "crash") this.#crashedAt = nowSeconds;
    const heads: Entry[] = [];
    const packets: { readonly session: SessionName; readonly seen: Seen }[] = [];
    for (const [key, value] of records) {
      const record = readRecord(key, value);
      if (record?.is === "head") {
        const { session, window } = record;
        // Our clock was ahead when it was heard: it would stay until then, and all after it.
        window.heardAt = Math.min(window.heardAt, nowSeconds);
        heads.push(new Entry(session, window, window.heardAt));
      }
      if (record?.is === "packet") packets.push(record);
    }
    heads.sort((one, other) => one.window.heardAt - other.window.heardAt);
    for (const entry of heads) this.#put(entry, entry.window.heardAt);
    for (const { session, seen } of packets) {
      const entry = this.#entries.get(this.#numberOf(session));
      if (entry === undefined || seen.timestamp <= entry.window.floor) {
        this.#unsaved.push({ key: packetChange(session, seen).key });
      } else {
        const before = entry.window.held.size;
        keep(entry.window, seen);
        this.#held += entry.window.held.size - before;
        entry.window.held.record(seen.mark);
        this.#holding.add(entry);
      }
    }
    this.#forget(nowSeconds);
  }

  sweep(nowSeconds: number, sessions = Number.POSITIVE_INFINITY): readonly StateChange[] {
    // A copy: what a packet adds meanwhile is looked at next time.
    this.#toSweep ??= [...this.#holding].values();
    for (let left = sessions; left > 0; ) {
      const next = this.#toSweep.next();
      if (next.done === true) {
        this.#toSweep = undefined;
        break;
      }
      left -= 1 + this.#settle(next.value, nowSeconds) / PACKETS_OF_A_LOOK;
    }
    this.#forget(nowSeconds, sessions);
    const unsaved = this.#unsaved;
    this.#unsaved = [];
    return unsaved;
  }

  get isSweeping(): boolean {
    return this.#toSweep !== undefined;
  }

  rebase(seconds: number): void {
    if (this.#crashedAt !== undefined) this.#crashedAt += seconds;
    for (const entry of this.#entries.values()) {
      rebase(entry.window, seconds);
      entry.touchedAt += seconds;
    }
  }

  heads(): readonly StateChange[] {
    return [...this.#entries.values()].map(({ session, window }) => headChange(session, window));
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Whether a packet was stamped before the crash, by the clock of its session, or else by the clock it claims. */
  #isOfBefore(candidate: Candidate, window: ReplayWindow | undefined, nowSeconds: number): boolean {
    if (this.#crashedAt === undefined || candidate.isAnswer === true) return false;
    const { timestamp } = candidate;
    const lag = window === undefined ? lagOf(timestamp - nowSeconds) : nowSeconds + window.clock - timestamp;
    return nowSeconds - lag <= this.#crashedAt;
  }

  /** Returns how many packets it let go of. */
  #settle(entry: Entry, nowSeconds: number): number {
    const { window } = entry;
    const { size } = window.held;
    if (!this.#holding.has(entry)) return 0;
    const forgotten = settleSilent(window, nowSeconds);
    this.#held += window.held.size - size;
    if (window.held.size < size) this.#unsaved.push(headChange(entry.session, window));
    this.#unsaved.push(...deletesOf({ session: entry, forgotten }));
    if (window.held.size === 0) this.#holding.delete(entry);
    return size - window.held.size;
  }

  /** Whoever has the key can begin as many sessions as fit; together they shall not take what each alone may. */
  #most(): number {
    const { packets } = this.#limits;
    return this.#held < MOST_FULL * packets ? packets : Math.min(FEW_PACKETS, packets);
  }

  #begin(candidate: Candidate, nowSeconds: number): Entry | "full" | undefined {
    if (!isFirstOffset(candidate.timestamp - nowSeconds, candidate.policy())) return undefined;
    if (!this.#hasRoom(candidate, nowSeconds)) return "full";
    const entry = new Entry(candidate, openWindow(candidate.timestamp, nowSeconds), nowSeconds);
    this.#put(entry, nowSeconds);
    return entry;
  }

  /** A forgotten session could be replayed, so none gives way; configured peers keep an eighth for themselves. */
  #hasRoom(candidate: Candidate, nowSeconds: number): boolean {
    const { sessions } = this.#limits;
    const open = Math.max(1, Math.floor((sessions * 7) / 8));
    if (this.#entries.size < open) return true;
    this.#forget(nowSeconds, FORGOTTEN_AT_ONCE);
    const { size } = this.#entries;
    return size < open || (size < sessions && candidate.isKnown?.() === true);
  }

  #put(entry: Entry, nowSeconds: number): void {
    const name = this.#numberOf(entry);
    this.#entries.delete(name);
    this.#entries.set(name, entry);
    entry.touchedAt = nowSeconds;
  }

  #forget(nowSeconds: number, most = Number.POSITIVE_INFINITY): void {
    let left = most;
    for (const [name, entry] of this.#entries) {
      if (left <= 0 || nowSeconds - entry.window.heardAt <= LIFE_SECONDS) return;
      left -= 1;
      this.#entries.delete(name);
      this.#holding.delete(entry);
      this.#held -= entry.window.held.size;
      this.#unsaved.push(...deleteWindow(entry.session, entry.window));
    }
  }

  /** A number is smaller than a text and quicker to find: 32 bits of session id below the key's. */
  #numberOf({ keyId, sessionId }: SessionName): number {
    let key = this.#keyNumbers.get(keyId);
    if (key === undefined) {
      key = this.#keyNumbers.size;
      this.#keyNumbers.set(keyId, key);
    }
    return key * 2 ** 32 + sessionId;
  }
}
