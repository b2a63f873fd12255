import type { Row } from "../layout/records.ts";

/** Bytes of each row's message, by place and number: no object for each row, which the collector would go through. */
class Generation {
  private readonly bytes = new Map<number, Map<number, number>>();
  /** Attempts committed where there are any. */
  private readonly attempts = new Map<string, number>();
  size = 0;

  set(at: RowName, { bytes, attempt }: Row): void {
    let rows = this.bytes.get(at.place);
    if (rows === undefined) {
      rows = new Map();
      this.bytes.set(at.place, rows);
    }
    if (!rows.has(at.seq)) this.size += 1;
    rows.set(at.seq, bytes);
    if (attempt > 0) this.attempts.set(wordOf(at), attempt);
  }

  get(at: RowName): Row | undefined {
    const bytes = this.bytes.get(at.place)?.get(at.seq);
    if (bytes === undefined) return undefined;
    return { bytes, attempt: this.attempts.size === 0 ? 0 : (this.attempts.get(wordOf(at)) ?? 0) };
  }

  delete(at: RowName): boolean {
    const rows = this.bytes.get(at.place);
    if (rows?.delete(at.seq) !== true) return false;
    if (rows.size === 0) this.bytes.delete(at.place);
    if (this.attempts.size > 0) this.attempts.delete(wordOf(at));
    this.size -= 1;
    return true;
  }
}

/** Which row. */
interface RowName {
  readonly seq: number;
  readonly place: number;
}

const wordOf = ({ seq, place }: RowName): string => `${place}:${seq}`;
const MOST_IN_GENERATION = 50_000;

/** The newest rows, so that their outcomes need no reading; of others the disk knows. */
export class RecentRows {
  private young = new Generation();
  private old = new Generation();
  /** Rows read for the flush that is being built; undefined: there is none, or none any more. */
  private readonly read = new Map<string, Row | undefined>();

  add(at: RowName, bytes: number): void {
    this.young.set(at, { bytes, attempt: 0 });
  }

  knows(at: RowName): boolean {
    return (this.young.get(at) ?? this.old.get(at)) !== undefined || this.read.has(wordOf(at));
  }

  learn(at: RowName, found: Row | undefined): void {
    this.read.set(wordOf(at), found);
  }

  find(at: RowName): Row | undefined {
    return this.young.get(at) ?? this.old.get(at) ?? this.read.get(wordOf(at));
  }

  setAttempt(at: RowName, row: Row): void {
    if (this.young.get(at) !== undefined) this.young.set(at, row);
    else if (this.old.get(at) !== undefined) this.old.set(at, row);
    else this.learn(at, row);
  }

  remove(at: RowName): void {
    if (!this.young.delete(at) && !this.old.delete(at)) this.learn(at, undefined);
  }

  /** The flush has landed: the disk can be asked again. */
  landed(): void {
    this.read.clear();
    if (this.young.size < MOST_IN_GENERATION) return;
    this.old = this.young;
    this.young = new Generation();
  }
}
