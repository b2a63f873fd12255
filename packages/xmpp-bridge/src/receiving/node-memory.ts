import { createHash } from "node:crypto";
import { isValidChannel } from "@nomq/core";
import type { ReadItem } from "../payload/item.ts";
import { shortOf } from "./marks.ts";
import { MOST_REMEMBERED, type SeenEvents, seenEvents } from "./seen-events.ts";

/** Longer item ids are remembered by their hash: servers allow any. */
const MOST_ID = 256;

/** What was last seen on a node. */
export interface NodeMemory {
  readonly node: string;
  readonly channel: string;
  /** The state: what it was, and whether we had put it there. */
  readonly current?: SeenState;
  /** Events by item id, oldest first. */
  readonly events: SeenEvents;
  /** Taken in before a crash and not among the events: the print, by what the mark says of the id. Not written. */
  readonly marked?: ReadonlyMap<string, string>;
}

/** The state of a node as it was seen. */
export interface SeenState {
  readonly print: string;
  /** Whether we had put it there. */
  readonly isOwn: boolean;
  /** The youngest event at that time. */
  readonly after?: string;
}

/** What tells an item from another under the same id: who first sent it, else what it holds. */
export function printOf(
  read: Pick<ReadItem, "contentType" | "gateway" | "originId" | "payload">,
  publisher?: string,
): string {
  const hash = createHash("sha256");
  if (read.gateway !== undefined && read.originId !== undefined)
    hash.update(`${read.gateway}\0${read.originId}`);
  else hash.update(`${read.contentType ?? ""}\0`).update(read.payload);
  const print = hash.digest("base64url").slice(0, 16);
  if (publisher === undefined) return print;
  return `${print}.${createHash("sha256").update(publisher).digest("base64url").slice(0, 8)}`;
}

/** Somebody else's item is another, whatever it says; not every answer of a server says whose it is. */
export function isSamePrint(one: string | undefined, other: string | undefined): boolean {
  const [print, who] = one?.split(".") ?? [];
  const [otherPrint, otherWho] = other?.split(".") ?? [];
  return print !== undefined && print === otherPrint && (who ?? otherWho) === (otherWho ?? who);
}

/** The memory with an event that was seen, as the youngest. */
export function withEvent(memory: NodeMemory, id: string, print: string): NodeMemory {
  return { ...memory, events: memory.events.with(keyOfId(id), print) };
}

const keyOfId = (id: string): string => (id.length > MOST_ID ? `#${shortOf(id)}` : id);

/** Whether the event was seen as it is now. */
export const isSeenAs = (memory: NodeMemory, id: string, print: string): boolean =>
  isSamePrint(memory.events.get(keyOfId(id)), print) || isSamePrint(memory.marked?.get(shortOf(id)), print);

/** Whether the event is among those remembered. */
export const isRemembered = (memory: NodeMemory, id: string): boolean => memory.events.has(keyOfId(id));

/** Which of those events was seen last; undefined: none of them is remembered. */
export function youngestEvent(memory: NodeMemory, ids: readonly string[]): string | undefined {
  const keys = new Map(ids.map((id) => [keyOfId(id), id]));
  const found = memory.events.keys().findLast((key) => keys.has(key));
  return found === undefined ? undefined : keys.get(found);
}

/** The memory with the state as it is now, after the events seen so far. */
export function withState(memory: NodeMemory, print: string, isOwn: boolean): NodeMemory {
  const after = memory.events.youngest;
  return withCurrent(memory, { print, isOwn, ...(after === undefined ? {} : { after }) });
}

/** The memory without what was marked: it has been caught up with. */
export function withoutMarks({ marked: _, ...memory }: NodeMemory): NodeMemory {
  return memory;
}

/** The memory with another state; undefined: none. */
export function withCurrent(memory: NodeMemory, current: SeenState | undefined): NodeMemory {
  const { current: _, ...rest } = memory;
  return current === undefined ? rest : { ...rest, current };
}

/** An item of a node's history. */
export interface Listed {
  readonly id: string;
  /** Absent: only its id is known yet. */
  readonly print?: string;
}

/** What is new on a node, among its events from the oldest to the youngest. */
export interface Missed<Item> {
  readonly items: readonly Item[];
  /** None of what was seen last is there any more: what came between is gone too, if anything did. */
  readonly isGap: boolean;
}

/** Compares what a node keeps with what was seen of it. Items that only changed under an id seen before are new, too. */
export function missedOf<Item extends Listed>(memory: NodeMemory, listed: readonly Item[]): Missed<Item> {
  const isSeen = ({ id, print }: Item): boolean => {
    const seen = memory.events.get(keyOfId(id));
    return seen !== undefined && (print === undefined || isSamePrint(print, seen));
  };
  const last = listed.findLastIndex(isSeen);
  const isKnown = ({ id }: Item): boolean =>
    isRemembered(memory, id) || memory.marked?.has(shortOf(id)) === true;
  const hasSeen = memory.events.size > 0 || (memory.marked?.size ?? 0) > 0;
  const isChanged = (item: Item): boolean => isRemembered(memory, item.id) && !isSeen(item);
  return {
    items: listed.filter((item, at) => at > last || isChanged(item)),
    isGap: hasSeen && listed.length > 0 && !listed.some(isKnown),
  };
}

/** The memory as bytes that last. */
export const writeMemory = ({ node, channel, current, events }: NodeMemory): Uint8Array =>
  Buffer.from(JSON.stringify({ node, channel, current, events: [...events] }));

/** Reads them; undefined: they are none. */
export function readMemory(bytes: Uint8Array): NodeMemory | undefined {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(bytes).toString());
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null) return undefined;
  const { node, channel, current, events } = value as Record<string, unknown>; // Each is looked at below.
  if (typeof node !== "string" || typeof channel !== "string" || !isValidChannel(channel)) return undefined;
  if (!Array.isArray(events) || !events.every(isPair)) return undefined;
  const memory = { node, channel, events: seenEvents(new Map(events.slice(-MOST_REMEMBERED))) };
  return isCurrent(current) ? { ...memory, current } : memory;
}

const isPair = (value: unknown): value is [string, string] =>
  Array.isArray(value) && value.length === 2 && value.every((each) => typeof each === "string");

const isCurrent = (value: unknown): value is SeenState =>
  typeof value === "object" &&
  value !== null &&
  "print" in value &&
  typeof value.print === "string" &&
  "isOwn" in value &&
  typeof value.isOwn === "boolean" &&
  (!("after" in value) || typeof value.after === "string");
