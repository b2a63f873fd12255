import type { Row } from "../layout/records.ts";

/** A message whose rows are all known. */
export interface RecentMessage {
  readonly bytes: number;
  /** Attempts committed, by place; what is not here has no row. */
  readonly attempts: Map<number, number>;
}

const MOST_IN_GENERATION = 25_000;

/**
 * The rows of the newest messages, so that their outcomes need no reading. What is here is the whole truth about a
 * message; of what is not here the disk knows.
 */
export class RecentRows {
  private young = new Map<number, RecentMessage>();
  private old = new Map<number, RecentMessage>();
  /** Rows read for the flush that is being built; undefined: there is none. */
  private readonly read = new Map<string, Row | undefined>();

  get(seq: number): RecentMessage | undefined {
    return this.young.get(seq) ?? this.old.get(seq);
  }

  add(seq: number, message: RecentMessage): void {
    if (message.attempts.size > 0) this.young.set(seq, message);
  }

  knows(seq: number, place: number): boolean {
    return this.get(seq) !== undefined || this.read.has(`${place}:${seq}`);
  }

  learn(at: { seq: number; place: number }, found: Row | undefined): void {
    this.read.set(`${at.place}:${at.seq}`, found);
  }

  find(seq: number, place: number): Row | undefined {
    const recent = this.get(seq);
    if (recent === undefined) return this.read.get(`${place}:${seq}`);
    const attempt = recent.attempts.get(place);
    if (attempt === undefined) return undefined;
    return { bytes: recent.bytes, attempt };
  }

  setAttempt(at: { seq: number; place: number }, found: Row): void {
    const recent = this.get(at.seq);
    if (recent === undefined) this.learn(at, found);
    else recent.attempts.set(at.place, found.attempt);
  }

  remove(seq: number, place: number): void {
    const recent = this.get(seq);
    if (recent === undefined) {
      this.learn({ seq, place }, undefined);
      return;
    }
    recent.attempts.delete(place);
    if (recent.attempts.size > 0) return;
    this.young.delete(seq);
    this.old.delete(seq);
    // Until the flush has landed the disk still shows the row.
    this.learn({ seq, place }, undefined);
  }

  /** The flush has landed: the disk can be asked again. */
  landed(): void {
    this.read.clear();
    if (this.young.size < MOST_IN_GENERATION) return;
    this.old = this.young;
    this.young = new Map();
  }
}
