/** A channel id that no known name has, heard in authentic packets. Times are Unix milliseconds. */
export interface UnknownChannel {
  /** 32 hex digits. */
  readonly hash: string;
  /** `HOST:PORT` it was last heard from. */
  readonly source: string;
  /** The first addresses it was heard from, at most 8, in that order. */
  readonly sources: readonly string[];
  readonly count: number;
  readonly firstSeen: number;
  readonly lastSeen: number;
}

/** Channel ids without a name, as heard in authentic packets. */
export interface UnknownChannels {
  /** True when it is new in the list. */
  heard(hash: string, source: string, now: number): boolean;
  forget(hash: string): void;
  list(): readonly UnknownChannel[];
  readonly size: number;
}

interface Entry {
  readonly sources: string[];
  source: string;
  count: number;
  readonly firstSeen: number;
  lastSeen: number;
}

/** Addresses listed with one channel: the first, so that a later sender takes no place from them. */
const MOST_SOURCES = 8;
const DAY_MS = 24 * 3600 * 1000;

/** Makes a list of at most `limit`; when full, one that has not been heard for a day gives way, else none does. */
export function createUnknownChannels(limit: number): UnknownChannels {
  const entries = new Map<string, Entry>();
  return {
    heard(hash, source, now) {
      const known = entries.get(hash);
      if (known !== undefined) {
        known.count += 1;
        known.source = source;
        known.lastSeen = now;
        if (known.sources.length < MOST_SOURCES && !known.sources.includes(source))
          known.sources.push(source);
        return false;
      }
      if (!makeRoom(entries, limit, now)) return false;
      entries.set(hash, { source, sources: [source], count: 1, firstSeen: now, lastSeen: now });
      return true;
    },
    forget: (hash) => void entries.delete(hash),
    list: () =>
      [...entries].map(([hash, { sources, ...entry }]) => ({ hash, ...entry, sources: [...sources] })),
    get size() {
      return entries.size;
    },
  };
}

/** Whether one more fits. */
export function makeRoom(
  entries: Map<string, { readonly lastSeen: number }>,
  limit: number,
  now: number,
): boolean {
  if (entries.size < limit) return true;
  let oldest: string | undefined;
  let seen = now - DAY_MS;
  for (const [name, { lastSeen }] of entries) {
    if (lastSeen >= seen) continue;
    oldest = name;
    seen = lastSeen;
  }
  if (oldest !== undefined) entries.delete(oldest);
  return entries.size < limit;
}
