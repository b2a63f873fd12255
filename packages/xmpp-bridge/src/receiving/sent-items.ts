import { createHash } from "node:crypto";
import { AgedMap, type Clock } from "@nomq/core";
import type { SentItem } from "./receiving.ts";

/** How long a notification of what we sent may take to come. */
const TICKET_MS = 60_000;
const MOST = 10_000;

/**
 * What we sent, as long as its notification may come back: retractions, which carry no origin and must not clear what has
 * been set since, and items, should a server strip their attributes. Each is good for one.
 */
export interface SentItems {
  sent(item: SentItem): void;
  /** Whether what came is ours; it is used up. */
  take(item: SentItem): boolean;
}

/** Makes it empty. */
export function createSentItems(clock: Pick<Clock, "monotonic">): SentItems {
  const tickets = new AgedMap<string, readonly number[]>();
  const prune = (): void => {
    const now = clock.monotonic();
    for (let key = tickets.oldest(); key !== undefined; key = tickets.oldest()) {
      if (tickets.size <= MOST && (tickets.get(key)?.at(-1) ?? 0) >= now) break;
      tickets.delete(key);
    }
  };
  return {
    sent(item) {
      const key = keyOf(item);
      const before = tickets.get(key) ?? [];
      tickets.delete(key);
      tickets.set(key, [...before, clock.monotonic() + TICKET_MS].slice(-MOST_ALIKE));
      prune();
    },
    take(item) {
      if (tickets.size === 0) return false;
      const key = keyOf(item);
      const now = clock.monotonic();
      const left = (tickets.get(key) ?? []).filter((until) => until >= now);
      tickets.delete(key);
      if (left.length > 1) tickets.set(key, left.slice(1));
      return left.length > 0;
    },
  };
}

/** Of the same words on the same node. */
const MOST_ALIKE = 100;

const keyOf = ({ node, item, payload }: SentItem): string => {
  const print = payload === undefined ? "retract" : createHash("sha256").update(payload).digest("base64url");
  return `${print} ${item} ${node}`;
};
