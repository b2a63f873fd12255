import type { StateChange } from "../bridge.ts";
import { type RandomSource, randomU32 } from "../packet/random.ts";
import type { NodeTime } from "./time.ts";

/** The session ids of this node: the one in use, and those of the last 28 h, by which it knows its own packets. */
export interface OwnSessions {
  /** What answers carry. */
  readonly id: number;
  /** What a new message carries: a new id when the current one is older than its time, as in the original. */
  forMessage(): number;
  /** Whether a session was ours in the last 28 h. */
  has(id: number): boolean;
  /** An earlier session goes on in a transfer that began with it. */
  used(id: number): void;
  /** Begins a new session: others could not follow the clock of this one. */
  renew(): void;
  /** What must be remembered before the first packet leaves. */
  begin(): readonly StateChange[];
  /** Takes back records; junk is ignored. */
  restore(records: Iterable<readonly [key: Uint8Array, value: Uint8Array]>): void;
  /** Lets go of old ids. */
  sweep(): readonly StateChange[];
  /** After a step of the wall clock. */
  rebase(seconds: number): void;
}

/** What own sessions work with. */
export interface OwnSessionsUse {
  readonly random: RandomSource;
  readonly time: NodeTime;
  /** Milliseconds after which a message begins a new session. */
  readonly renewal: number;
  /** Stores changes soon. */
  readonly keep: (changes: readonly StateChange[]) => void;
}

/** As long as receivers remember a session (protocol.md section 7). */
const LIFE_SECONDS = 28 * 3600;
/** Use of an id is noted to the hour. */
const NOTED_SECONDS = 3600;
/** 336 renewals in 28 h, and every start of a gateway that cannot stay up. */
const MOST = 4096;

/** Makes the sessions of one node. */
export function createOwnSessions(use: OwnSessionsUse): OwnSessions {
  return new Sessions(use);
}

class Sessions implements OwnSessions {
  readonly #use: OwnSessionsUse;
  /** When each was last used, Unix seconds; the longest unused first. */
  readonly #usedAt = new Map<number, number>();
  #id: number;
  // Drawn and stored ahead, so that a crash never forgets an id that was used.
  #next: number;
  #since: number;

  constructor(use: OwnSessionsUse) {
    this.#use = use;
    this.#id = randomU32(use.random);
    this.#next = randomU32(use.random);
    this.#since = use.time.monotonic();
    this.#note(this.#id);
    this.#note(this.#next);
  }

  get id(): number {
    return this.#id;
  }

  forMessage(): number {
    if (this.#use.time.monotonic() - this.#since > this.#use.renewal) this.renew();
    return this.#id;
  }

  has(id: number): boolean {
    return this.#usedAt.has(id);
  }

  used(id: number): void {
    const before = this.#usedAt.get(id);
    if (id === this.#id || before === undefined) return;
    if (this.#use.time.seconds() - before > NOTED_SECONDS) this.#use.keep([this.#note(id)]);
  }

  renew(): void {
    const ended = this.#note(this.#id);
    this.#id = this.#next;
    this.#next = randomU32(this.#use.random);
    this.#since = this.#use.time.monotonic();
    this.#use.keep([ended, this.#note(this.#id), this.#note(this.#next), ...this.#forget()]);
  }

  begin(): readonly StateChange[] {
    this.#since = this.#use.time.monotonic();
    return [this.#note(this.#id), this.#note(this.#next), ...this.#forget()];
  }

  restore(records: Iterable<readonly [Uint8Array, Uint8Array]>): void {
    const found: (readonly [number, number])[] = [];
    const now = this.#use.time.seconds();
    for (const [key, value] of records) {
      const [id, usedAt] = readRecord(key, value) ?? [];
      // Noted while our clock was ahead, it would stay for as long as that, and all after it.
      if (id !== undefined && usedAt !== undefined) found.push([id, Math.min(usedAt, now)]);
    }
    found.sort(([, one], [, other]) => one - other);
    const own = [...this.#usedAt];
    this.#usedAt.clear();
    for (const [id, usedAt] of [...found, ...own]) this.#usedAt.set(id, usedAt);
  }

  sweep(): readonly StateChange[] {
    const stale = this.#use.time.seconds() - (this.#usedAt.get(this.#id) ?? 0) > NOTED_SECONDS;
    return stale ? [this.#note(this.#id), this.#note(this.#next), ...this.#forget()] : this.#forget();
  }

  rebase(seconds: number): void {
    for (const [id, usedAt] of this.#usedAt) this.#usedAt.set(id, usedAt + seconds);
  }

  #note(id: number): StateChange {
    const usedAt = this.#use.time.seconds();
    this.#usedAt.delete(id);
    this.#usedAt.set(id, usedAt);
    return { key: keyOf(id), value: bytes(String(usedAt)) };
  }

  #forget(): readonly StateChange[] {
    const now = this.#use.time.seconds();
    const changes: StateChange[] = [];
    for (const [id, usedAt] of this.#usedAt) {
      if (now - usedAt <= LIFE_SECONDS && this.#usedAt.size <= MOST) break;
      if (id === this.#id || id === this.#next) continue;
      this.#usedAt.delete(id);
      changes.push({ key: keyOf(id) });
    }
    return changes;
  }
}

// o/SESSION -> Unix seconds of its last use; SESSION is hexadecimal.
const RECORD = /^o\/([0-9a-f]{8})$/;

function keyOf(id: number): Uint8Array {
  return bytes(`o/${id.toString(16).padStart(8, "0")}`);
}

function readRecord(key: Uint8Array, value: Uint8Array): readonly [id: number, usedAt: number] | undefined {
  const id = RECORD.exec(text(key))?.[1];
  const usedAt = Number(text(value));
  return id === undefined || !Number.isSafeInteger(usedAt) ? undefined : [Number.parseInt(id, 16), usedAt];
}

function bytes(value: string): Uint8Array {
  return Buffer.from(value, "latin1");
}

function text(value: Uint8Array): string {
  return Buffer.from(value.buffer, value.byteOffset, value.length).toString("latin1");
}
