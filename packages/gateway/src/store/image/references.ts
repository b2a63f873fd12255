import { SeqCounts } from "./seq-counts.ts";

/**
 * How many rows and history entries share each body. Only numbers above one are kept; those of an earlier run are
 * counted after the start, and until that is done no body of theirs is deleted.
 */
export class References {
  private readonly shared = new SeqCounts();
  /** Known to be alone, before the old ones were counted. */
  private readonly singles: number[] = [];
  /** Given up before the old ones were counted. */
  private released: number[] | undefined = [];

  add(seq: number, count: number): void {
    if (count === 1 && this.released === undefined) return;
    this.shared.set(seq, count);
    if (count === 1) this.singles.push(seq);
  }

  /** One reference less; true when the body can go. */
  release(seq: number): boolean {
    const count = this.shared.get(seq);
    if (count === undefined && this.released !== undefined) {
      this.released.push(seq);
      return false;
    }
    if (count === undefined || count === 1) {
      this.shared.delete(seq);
      return true;
    }
    this.shared.set(seq, count - 1);
    return false;
  }

  /** Takes the counts above one of the earlier runs, as they were at the start; answers the bodies that can go. */
  counted(old: SeqCounts): number[] {
    const released = this.released ?? [];
    this.released = undefined;
    this.shared.adopt(old);
    for (const seq of this.singles) if (this.shared.get(seq) === 1) this.shared.delete(seq);
    this.singles.length = 0;
    return released.filter((seq) => this.release(seq));
  }
}
