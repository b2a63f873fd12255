import type { Inflow } from "./inflow.ts";
import type { NodeMemory } from "./node-memory.ts";
import type { NodeEvent } from "./notification.ts";

/** What is to be done about a node, in order. */
export type Work =
  | { readonly is: "event"; readonly event: NodeEvent; readonly mayRepeat: boolean }
  /** Subscribe where that is needed, and read what was missed. */
  | { readonly is: "catch-up" }
  /** It was listed no more. */
  | { readonly is: "gone" };

/** A node that we read: what waits, what was seen. */
export interface Place {
  readonly node: string;
  readonly channel: string;
  readonly inflow: Inflow;
  memory: NodeMemory;
  /** Nothing was ever seen of it: its history is from before our time. */
  isNew: boolean;
  /** It was made after we had looked for nodes, or by us: nothing on it is from before our time. */
  isBorn: boolean;
  /** We have made it again, and have not come to it since: when the old one's end is dealt with, the new one is read. */
  isRemade: boolean;
  isSubscribed: boolean;
  readonly queue: Work[];
  /** Of the events in it, about. */
  bytes: number;
  isBusy: boolean;
  /** Catch-ups that wait or are under way: what comes meanwhile may be found twice. */
  catchUps: number;
  isEnded: boolean;
}

/** Ids of the events that wait: they will come yet, whatever the history says. */
export function waitingIds({ queue }: Place): ReadonlySet<string> {
  const ids = new Set<string>();
  for (const work of queue) if (work.is === "event" && work.event.is === "item") ids.add(work.event.item.id);
  return ids;
}

/** Whether its deletion waits. */
export const willEnd = ({ queue }: Place): boolean =>
  queue.some((work) => work.is === "event" && work.event.is === "delete");
