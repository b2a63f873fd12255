/** How many answers a source may have. */
export interface SourceRates {
  /** Takes one of the source's answers; false when it has none left. `now` is monotonic milliseconds. */
  take(source: string, now: number): boolean;
  readonly size: number;
}

/** A token bucket. */
export interface Rate {
  /** Answers at once. */
  readonly burst: number;
  readonly perSecond: number;
}

interface Bucket {
  tokens: number;
  at: number;
}

/**
 * A bucket for each of at most `sources` sources; one that is full again is forgotten, which changes nothing. Sources
 * that find no place share one more bucket, `rest`.
 */
export function createSourceRates(options: {
  readonly each: Rate;
  readonly rest: Rate;
  readonly sources: number;
}): SourceRates {
  const { each, rest, sources } = options;
  // In the order of their last answer: the first are full first.
  const buckets = new Map<string, Bucket>();
  const shared: Bucket = { tokens: rest.burst, at: Number.NEGATIVE_INFINITY };
  const fullAfterMs = (each.burst / each.perSecond) * 1000;
  const forgetFull = (now: number): void => {
    for (const [source, { at }] of buckets) {
      if (now - at < fullAfterMs) return;
      buckets.delete(source);
    }
  };
  return {
    take(source, now) {
      const known = buckets.get(source);
      if (known !== undefined) {
        if (!takeOne(known, each, now)) return false;
        buckets.delete(source);
        buckets.set(source, known);
        return true;
      }
      forgetFull(now);
      if (buckets.size >= sources) return takeOne(shared, rest, now);
      buckets.set(source, { tokens: each.burst - 1, at: now });
      return true;
    },
    get size() {
      return buckets.size;
    },
  };
}

function takeOne(bucket: Bucket, { burst, perSecond }: Rate, now: number): boolean {
  const tokens = Math.min(burst, bucket.tokens + ((now - bucket.at) / 1000) * perSecond);
  if (tokens < 1) return false;
  bucket.tokens = tokens - 1;
  bucket.at = now;
  return true;
}
