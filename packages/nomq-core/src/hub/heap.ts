/** A binary heap: `pop` gives the item that goes before all others. */
export class Heap<T> {
  private items: T[] = [];
  private readonly before: (a: T, b: T) => boolean;

  constructor(before: (a: T, b: T) => boolean) {
    this.before = before;
  }

  get size(): number {
    return this.items.length;
  }

  peek(): T | undefined {
    return this.items[0];
  }

  push(item: T): void {
    const items = this.items;
    let at = items.length;
    items.push(item);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = items[parent];
      if (above === undefined || !this.before(item, above)) break;
      items[at] = above;
      at = parent;
    }
    items[at] = item;
  }

  pop(): T | undefined {
    const first = this.items[0];
    const last = this.items.pop();
    if (this.items.length > 0 && last !== undefined) this.sink(last);
    return first;
  }

  /** Keeps only what passes: sheds items that are no longer wanted. */
  retain(keep: (item: T) => boolean): void {
    const kept = this.items.filter(keep);
    this.items = [];
    for (const item of kept) this.push(item);
  }

  private sink(item: T): void {
    const items = this.items;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      let best = items[child];
      if (best === undefined) break;
      const right = items[child + 1];
      if (right !== undefined && this.before(right, best)) {
        best = right;
        child += 1;
      }
      if (!this.before(best, item)) break;
      items[at] = best;
      at = child;
    }
    items[at] = item;
  }
}
