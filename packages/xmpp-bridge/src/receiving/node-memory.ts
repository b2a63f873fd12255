import { createHash } from "node:crypto";
import { isValidChannel } from "@nomq/core";
import type { ReadItem } from "../payload/item.ts";

/** The youngest events remembered of a node: so many may be retracted one by one before the place is lost. */
export const MOST_REMEMBERED = 64;

/** Longer item ids are not remembered: servers allow any. */
const MOST_ID = 256;

/** What was last seen on a node. */
export interface NodeMemory {
  readonly node: string;
  readonly channel: string;
  /** The state: what it was, and whether we had put it there. */
  readonly current?: { readonly print: string; readonly isOwn: boolean };
  /** Events by item id, oldest first. */
  readonly events: ReadonlyMap<string, string>;
}

/** What tells an item from another under the same id: who first sent it, else what it holds. */
export function printOf(read: ReadItem, publisher?: string): string {
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
  if (id.length > MOST_ID) return memory;
  const events = new Map(memory.events);
  events.delete(id);
  events.set(id, print);
  const [oldest] = events.keys();
  if (events.size > MOST_REMEMBERED && oldest !== undefined) events.delete(oldest);
  return { ...memory, events };
}

/** The memory with another state; undefined: none. */
export function withCurrent(memory: NodeMemory, current: NodeMemory["current"]): NodeMemory {
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
    const seen = memory.events.get(id);
    return seen !== undefined && (print === undefined || isSamePrint(print, seen));
  };
  const last = listed.findLastIndex(isSeen);
  const isChanged = (item: Item): boolean => memory.events.has(item.id) && !isSeen(item);
  return {
    items: listed.filter((item, at) => at > last || isChanged(item)),
    isGap: memory.events.size > 0 && listed.length > 0 && !listed.some(({ id }) => memory.events.has(id)),
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
  const memory = { node, channel, events: new Map(events.slice(-MOST_REMEMBERED)) };
  return isCurrent(current) ? { ...memory, current } : memory;
}

const isPair = (value: unknown): value is [string, string] =>
  Array.isArray(value) && value.length === 2 && value.every((each) => typeof each === "string");

const isCurrent = (value: unknown): value is { readonly print: string; readonly isOwn: boolean } =>
  typeof value === "object" &&
  value !== null &&
  "print" in value &&
  typeof value.print === "string" &&
  "isOwn" in value &&
  typeof value.isOwn === "boolean";
