/** New names are gathered before they are sorted in. */
const MOST_FRESH = 4096;

/** Names in order of their UTF-16 code units. A list once handed out is never changed. */
export class SortedNames {
  private readonly isHeld: (name: string) => boolean;
  private sorted: readonly string[] = [];
  private fresh: string[] = [];
  private missing = 0;

  /** `isHeld`: whether a name is still one of them. */
  constructor(isHeld: (name: string) => boolean) {
    this.isHeld = isHeld;
  }

  /** Adds a name that is not held. */
  add(name: string): void {
    this.fresh.push(name);
    if (this.fresh.length >= MOST_FRESH) this.all();
  }

  /** A name is no longer held; the list may go on naming it for a while. */
  gone(): void {
    this.missing += 1;
  }

  /** All that are held, each once, and some that are not. */
  all(): readonly string[] {
    if (this.fresh.length > 0) {
      this.sorted = merged(this.sorted, this.fresh.sort());
      this.fresh = [];
    }
    if (this.missing * 2 > this.sorted.length) {
      this.sorted = this.sorted.filter(this.isHeld);
      this.missing = 0;
    }
    return this.sorted;
  }
}

/** Where the names after this one begin, in names in order of their UTF-16 code units; without it, at 0. */
export function startAfter(names: readonly string[], after: string | undefined): number {
  if (after === undefined) return 0;
  let low = 0;
  let high = names.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((names[middle] ?? "") <= after) low = middle + 1;
    else high = middle;
  }
  return low;
}

function merged(one: readonly string[], other: readonly string[]): string[] {
  const all: string[] = [];
  let at = 0;
  for (const name of other) {
    for (let next = one[at]; next !== undefined && next < name; next = one[at]) {
      all.push(next);
      at += 1;
    }
    // A name that went and came again stands in both.
    if (all.at(-1) !== name && one[at] !== name) all.push(name);
  }
  for (; at < one.length; at += 1) all.push(one[at] ?? "");
  return all;
}
