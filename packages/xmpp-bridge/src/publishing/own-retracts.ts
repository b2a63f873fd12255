import type { Clock } from "@nomq/core";

/** How long the notification of a retraction of ours may take. */
const TICKET_MS = 30_000;
const MOST = 10_000;

/**
 * Retractions of ours whose notifications may still come back: they carry no origin, and must not clear what has been
 * set since. Each is good for one.
 */
export interface OwnRetracts {
  /** We ask the service to retract this node's item, and to tell it. */
  sent(node: string, item: string): void;
  /** Whether a retraction that is told is one of ours; it is used up. */
  take(node: string, item: string): boolean;
  /** Notifications of an earlier session do not come any more. */
  clear(): void;
}

/** Makes it empty. */
export function createOwnRetracts(clock: Pick<Clock, "monotonic">): OwnRetracts {
  const until = new Map<string, number[]>();
  let held = 0;
  const keyOf = (node: string, item: string): string => `${item} ${node}`;
  const drop = (key: string): void => {
    held -= until.get(key)?.length ?? 0;
    until.delete(key);
  };
  return {
    sent(node, item) {
      const [oldest] = until.keys();
      if (held >= MOST && oldest !== undefined) drop(oldest);
      const key = keyOf(node, item);
      const due = until.get(key) ?? [];
      due.push(clock.monotonic() + TICKET_MS);
      held += 1;
      until.delete(key);
      until.set(key, due);
    },
    take(node, item) {
      const key = keyOf(node, item);
      const due = until.get(key);
      if (due === undefined) return false;
      const now = clock.monotonic();
      const isOurs = due.some((at) => at >= now);
      while ((due[0] ?? now) < now) {
        due.shift();
        held -= 1;
      }
      if (isOurs) {
        due.shift();
        held -= 1;
      }
      if (due.length === 0) until.delete(key);
      return isOurs;
    },
    clear() {
      until.clear();
      held = 0;
    },
  };
}
