/** The youngest events remembered of a node: so many may be retracted one by one before the place is lost. */
export const MOST_REMEMBERED = 64;

/**
 * Events by item id, oldest first, each with its print: a value. Each item makes one of them, and a node's last ones are
 * alike but for it: they share what they have in common.
 */
export interface SeenEvents extends Iterable<readonly [string, string]> {
  readonly size: number;
  /** The key of the youngest; undefined: there is none. */
  readonly youngest: string | undefined;
  get(key: string): string | undefined;
  has(key: string): boolean;
  keys(): readonly string[];
  /** With that event as the youngest, without the oldest where they would be too many. */
  with(key: string, print: string): SeenEvents;
}

/** An event, and those seen before it. */
interface Seen {
  readonly key: string;
  readonly print: string;
  readonly before: Seen | undefined;
  /** Of the chain from here on. */
  readonly length: number;
}

/** So many older than those remembered may hang on the chain before it is made anew without them. */
const MOST_SPARE = 16;

/** The events of these pairs, oldest first. */
export function seenEvents(pairs: Iterable<readonly [string, string]> = []): SeenEvents {
  let events: SeenEvents = new ChainedEvents(undefined);
  for (const [key, print] of pairs) events = events.with(key, print);
  return events;
}

class ChainedEvents implements SeenEvents {
  readonly #chain: Seen | undefined;

  constructor(chain: Seen | undefined) {
    this.#chain = chain;
  }

  get size(): number {
    return Math.min(this.#chain?.length ?? 0, MOST_REMEMBERED);
  }

  get youngest(): string | undefined {
    return this.#chain?.key;
  }

  get(key: string): string | undefined {
    return this.#find(key)?.print;
  }

  has(key: string): boolean {
    return this.#find(key) !== undefined;
  }

  keys(): readonly string[] {
    return this.#oldestFirst().map(([key]) => key);
  }

  with(key: string, print: string): SeenEvents {
    const chain = this.#chain;
    const isLong = chain !== undefined && chain.length >= MOST_REMEMBERED + MOST_SPARE;
    if (!isLong && !this.has(key)) return new ChainedEvents(behind(chain, key, print));
    let others: Seen | undefined;
    for (const [other, was] of this.#oldestFirst()) if (other !== key) others = behind(others, other, was);
    return new ChainedEvents(behind(others, key, print));
  }

  [Symbol.iterator](): Iterator<readonly [string, string]> {
    return this.#oldestFirst()[Symbol.iterator]();
  }

  #find(key: string): Seen | undefined {
    let at = this.#chain;
    // Among those remembered no key is there twice; behind them older ones may hang.
    for (let left = this.size; left > 0 && at !== undefined; left -= 1, at = at.before)
      if (at.key === key) return at;
    return undefined;
  }

  #oldestFirst(): (readonly [string, string])[] {
    const pairs: (readonly [string, string])[] = [];
    const { size } = this;
    for (let at = this.#chain; at !== undefined && pairs.length < size; at = at.before)
      pairs.push([at.key, at.print]);
    return pairs.reverse();
  }
}

const behind = (before: Seen | undefined, key: string, print: string): Seen => ({
  key,
  print,
  before,
  length: (before?.length ?? 0) + 1,
});
