/**
 * How many rows and history entries share each body. Only numbers above one are kept; those of an earlier run are
 * counted after the start, and until that is done no body of theirs is deleted.
 */
export class References {
  private readonly shared = new Map<number, number>();
  /** Given up before the old ones were counted. */
  private released: number[] | undefined = [];

  add(seq: number, count: number): void {
    if (count > 1 || this.released !== undefined) this.shared.set(seq, count);
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

  /** Takes the counts of the earlier runs, as they were at the start; answers the bodies that can go. */
  counted(old: ReadonlyMap<number, number>): number[] {
    const released = this.released ?? [];
    this.released = undefined;
    for (const [seq, count] of this.shared) if (count === 1) this.shared.delete(seq);
    for (const [seq, count] of old) if (count > 1) this.shared.set(seq, count);
    return released.filter((seq) => this.release(seq));
  }
}
