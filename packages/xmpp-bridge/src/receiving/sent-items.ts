import type { Clock } from "@nomq/core";

/** What the bridge publishes itself. */
export interface SentItem {
  readonly node: string;
  readonly item: string;
  readonly payload: Uint8Array;
}

const TICKET_MS = 30_000;
const MOST = 10_000;

/** Own items whose notifications may come back without their attributes, should a server strip them. Each is good for one. */
export interface SentItems {
  sent(item: SentItem): void;
  /** Whether an item that came is one of ours; it is used up. */
  take(item: SentItem): boolean;
}

/** Makes it empty. */
export function createSentItems(clock: Pick<Clock, "monotonic">): SentItems {
  const open = new Map<string, { readonly payload: Uint8Array; readonly until: number }>();
  const keyOf = ({ node, item }: SentItem): string => `${item} ${node}`;
  return {
    sent(item) {
      const key = keyOf(item);
      open.delete(key);
      open.set(key, { payload: item.payload, until: clock.monotonic() + TICKET_MS });
      const now = clock.monotonic();
      for (const [oldest, { until }] of open) {
        if (open.size <= MOST && until >= now) break;
        open.delete(oldest);
      }
    },
    take(item) {
      const key = keyOf(item);
      const ticket = open.get(key);
      if (ticket === undefined || ticket.until < clock.monotonic()) return false;
      if (Buffer.compare(ticket.payload, item.payload) !== 0) return false;
      open.delete(key);
      return true;
    },
  };
}
