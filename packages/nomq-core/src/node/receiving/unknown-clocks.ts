import { likelyCause, likelyMove } from "../../session/clock-cause.ts";
import { makeRoom } from "./unknown-channels.ts";

/** A device whose packets are authentic and dropped for their clock. Times are Unix milliseconds. */
export interface UnknownClock {
  /** `HOST:PORT` it was last heard from. */
  readonly source: string;
  /** Id of the key it speaks with. */
  readonly key: string;
  /** `clock-unknown`: at first contact no rule accepts it. `stale`: it has moved since its session began. */
  readonly reason: "clock-unknown" | "stale";
  /** Its clock less ours, seconds. */
  readonly offset: number;
  /** What is wrong, in words. */
  readonly likely: string;
  /** The known peer of its address, which has an entry in `nomq.devices` already. */
  readonly device?: string;
  /** `clock-unknown`: the entry of `nomq.devices` that accepts it, or what its entry lacks. */
  readonly paste?: string;
  readonly count: number;
  readonly firstSeen: number;
  readonly lastSeen: number;
}

/** A packet dropped for its clock. */
export interface OddClock {
  readonly reason: UnknownClock["reason"];
  readonly source: string;
  readonly key: string;
  readonly sessionId: number;
  /** The known peer of that address. */
  readonly device?: string | undefined;
  /** Its clock less ours, seconds. */
  readonly offset: number;
  /** `stale`: the same when its session began. */
  readonly before?: number;
}

/** Devices whose packets were dropped for their clock. */
export interface UnknownClocks {
  /** The entry when it is new in the list. */
  heard(clock: OddClock, now: number): UnknownClock | undefined;
  /** Its clock is accepted now. */
  forget(source: string): void;
  list(): readonly UnknownClock[];
}

/**
 * Makes a list of at most `limit`, one for each session: who has no key can repeat sessions from invented addresses,
 * and cannot make up new ones. A source's new session takes the place of its last. When full, one that has not been
 * heard for a day gives way, else none does.
 */
export function createUnknownClocks(limit: number, firstKey: string | undefined): UnknownClocks {
  const entries = new Map<string, UnknownClock>();
  const atSource = (source: string): string | undefined => {
    for (const [session, entry] of entries) if (entry.source === source) return session;
    return undefined;
  };
  return {
    heard(clock, now) {
      const session = `${clock.sessionId}/${clock.key}`;
      const before = entries.has(session) ? session : atSource(clock.source);
      const known = before === undefined ? undefined : entries.get(before);
      const entry = entryOf(clock, { known, now, firstKey });
      if (before !== undefined) {
        if (before !== session) entries.delete(before);
        entries.set(session, entry);
        return undefined;
      }
      if (!makeRoom(entries, limit, now)) return undefined;
      entries.set(session, entry);
      return entry;
    },
    forget(source) {
      const session = entries.size === 0 ? undefined : atSource(source);
      if (session !== undefined) entries.delete(session);
    },
    list: () => [...entries.values()],
  };
}

interface Around {
  readonly known: UnknownClock | undefined;
  readonly now: number;
  readonly firstKey: string | undefined;
}

function entryOf(clock: OddClock, { known, now, firstKey }: Around): UnknownClock {
  const { reason, source, device, key, offset, before } = clock;
  const named = key === firstKey ? undefined : key;
  const seconds = Math.floor(now / 1000);
  return {
    source,
    key,
    reason,
    offset,
    likely: before === undefined ? likelyCause(offset, seconds) : likelyMove(before, offset),
    ...(device === undefined ? {} : { device }),
    ...(reason === "stale" ? {} : { paste: device === undefined ? deviceLine(source, named) : "clock: any" }),
    count: (known?.count ?? 0) + 1,
    firstSeen: known?.firstSeen ?? now,
    lastSeen: now,
  };
}

/** The entry of `nomq.devices` that takes a device at its clock. */
function deviceLine(source: string, key: string | undefined): string {
  const name = `device-${source.replace(/[^\w.]+/g, "-").replace(/^-/, "")}`;
  return `- { name: ${name}, address: "${source}",${key === undefined ? "" : ` key: ${key},`} clock: any }`;
}
