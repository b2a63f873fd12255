/** What has a weight among others. */
export interface Ranked {
  weight: number;
  /** Where it stands in the heap; undefined: its weight is 0, and it does not. */
  at: number | undefined;
}

/** Tells who has the greatest weight: a binary heap whose members know their place. */
export interface Ranking<T extends Ranked> {
  /** In logarithmic time; a change by little moves little. */
  weigh(one: T, weight: number): void;
  /** The heaviest; undefined when nobody weighs anything. */
  first(): T | undefined;
}

/** Makes one of nobody. */
export function createRanking<T extends Ranked>(): Ranking<T> {
  const heap: T[] = [];
  const put = (one: T, at: number): void => {
    heap[at] = one;
    one.at = at;
  };
  const rise = (one: T, from: number): void => {
    let at = from;
    while (at > 0) {
      const above = (at - 1) >> 1;
      const other = heap[above];
      if (other === undefined || other.weight >= one.weight) break;
      put(other, at);
      at = above;
    }
    put(one, at);
  };
  const sink = (one: T, from: number): void => {
    let at = from;
    for (;;) {
      const left = 2 * at + 1;
      const below = (heap[left + 1]?.weight ?? 0) > (heap[left]?.weight ?? 0) ? left + 1 : left;
      const other = heap[below];
      if (other === undefined || other.weight <= one.weight) break;
      put(other, at);
      at = below;
    }
    put(one, at);
  };
  const leave = (one: T, at: number): void => {
    one.at = undefined;
    const last = heap.pop();
    if (last === undefined || last === one) return;
    sink(last, at);
    rise(last, last.at ?? at);
  };
  return {
    weigh(one, weight) {
      const before = one.weight;
      one.weight = weight;
      if (weight === 0) {
        if (one.at !== undefined) leave(one, one.at);
      } else if (one.at === undefined) rise(one, heap.length);
      else if (weight > before) rise(one, one.at);
      else sink(one, one.at);
    },
    first: () => heap[0],
  };
}
