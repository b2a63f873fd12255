import type { IqFailure } from "../link/link.ts";
import type { Asking } from "../nodes/listing.ts";
import { eachOf } from "../nodes/pool.ts";
import { itemsOf } from "../nodes/pubsub-request.ts";
import { readItem } from "../payload/item.ts";
import { STATE_ITEM } from "../payload/state-item.ts";
import { type Element, Namespace } from "../stream/element.ts";
import type { NodeMemory } from "./node-memory.ts";
import { isRemembered, type Missed, missedOf, printOf } from "./node-memory.ts";
import { type NodeItem, readNodeItem } from "./notification.ts";

/** What a node holds that was not seen. */
export interface CaughtUp {
  readonly is: "read";
  /** Its state; undefined: it has none. */
  readonly current: NodeItem | undefined;
  readonly events: Missed<NodeItem>;
  /** Where more was missed than was read at once, the rest of it, in its order behind those: as far as it can be read. */
  readonly rest?: AsyncIterable<MissedPart>;
}

/** Some of what was missed; what was evicted meanwhile is a gap. */
export type MissedPart =
  | { readonly is: "read"; readonly events: Missed<NodeItem> }
  | { readonly is: "failed"; readonly answer: IqFailure };

/** Read first, and at a time: ten of the largest, every letter of them escaped, are no more than a stanza may have. */
const PAGE = 10;
/** Pages read at once, and taken in before the next. */
const PAGES = 2;
const PART = PAGES * PAGE;
/** More of a history is not read. */
const MOST_ITEMS = 10_000;

/** Reads what was missed of a node; of a new one, what it holds now. Only if the youngest items hold nothing seen before is the whole list asked for. */
export async function readMissed(
  asking: Asking,
  { node, memory, isNew }: { readonly node: string; readonly memory: NodeMemory; readonly isNew: boolean },
): Promise<CaughtUp | { readonly is: "failed"; readonly answer: IqFailure }> {
  const answer = await asking.ask(asking.requests.items(node, { most: PAGE }));
  if (answer.is !== "result") return { is: "failed", answer };
  const page = itemsIn(answer.stanza);
  const current = page.find(({ id }) => id === STATE_ITEM) ?? (await readCurrent(asking, node));
  if (current !== undefined && "is" in current) return { is: "failed", answer: current };
  const events = page.filter(({ id }) => id !== STATE_ITEM);
  const missed = compare(memory, events);
  const isAll = isNew || page.length < PAGE || events.some(({ id }) => isRemembered(memory, id));
  if (isAll) return { is: "read", current, events: missed };
  const all = await readOlder(asking, node, { memory, page: missed.items });
  return "answer" in all ? { is: "failed", answer: all.answer } : { is: "read", current, ...all };
}

/** The state of a node; undefined: none. */
export async function readCurrent(asking: Asking, node: string): Promise<NodeItem | IqFailure | undefined> {
  const answer = await asking.ask(asking.requests.items(node, { ids: [STATE_ITEM] }));
  if (answer.is === "result") return itemsIn(answer.stanza).find(({ id }) => id === STATE_ITEM);
  return answer.is === "error" && answer.condition === "item-not-found" ? undefined : answer;
}

const compare = (memory: NodeMemory, items: readonly NodeItem[]): Missed<NodeItem> => {
  const listed = items.map((item) => {
    const read = item.payload === undefined ? undefined : readItem(item.payload);
    return { item, id: item.id, ...(read === undefined ? {} : { print: printOf(read, item.publisher) }) };
  });
  const { isGap, items: missed } = missedOf(memory, listed);
  return { isGap, items: missed.map(({ item }) => item) };
};

/** The ids of what a node keeps, as its service lists them. */
export async function readItemIds(
  { ask, requests }: Asking,
  node: string,
): Promise<{ readonly ids: string[]; readonly isCut: boolean } | { readonly answer: IqFailure }> {
  const answer = await ask(requests.itemIds(node));
  if (answer.is !== "result") return { answer };
  const query = answer.stanza.getChild("query", Namespace.discoItems);
  const items = query?.getChildren("item") ?? [];
  const ids = items.slice(0, MOST_ITEMS).flatMap(({ attrs }) => attrs["name"] || []);
  return { ids, isCut: items.length > MOST_ITEMS };
}

/**
 * Everything new, where the youngest page is all news: the ids first, then the items that are not on the page. Read part
 * by part, so that a gateway which is often killed, at a server which is slow, comes further each time.
 */
async function readOlder(
  asking: Asking,
  node: string,
  { memory, page }: { readonly memory: NodeMemory; readonly page: readonly NodeItem[] },
): Promise<Pick<CaughtUp, "events" | "rest"> | { readonly answer: IqFailure }> {
  const there = await readItemIds(asking, node);
  if ("answer" in there) return there;
  const { ids, isCut } = there;
  const onPage = new Map(page.map((item) => [item.id, item]));
  const oldestFirst = isYoungestFirst(ids, [...onPage.keys()]) ? ids.reverse() : ids;
  const missed = missedOf(
    memory,
    oldestFirst.filter((id) => id !== STATE_ITEM).map((id) => ({ id })),
  );
  const places = new Set(oldestFirst);
  return {
    // In the order of the ids: some may have come since the page was read, and what was on it may have been evicted.
    events: { isGap: missed.isGap || isCut, items: page.filter(({ id }) => !places.has(id)) },
    rest: readParts(asking, node, { wanted: missed.items.map(({ id }) => id), onPage }),
  };
}

async function* readParts(
  asking: Asking,
  node: string,
  { wanted, onPage }: { readonly wanted: readonly string[]; readonly onPage: ReadonlyMap<string, NodeItem> },
): AsyncGenerator<MissedPart> {
  for (let at = 0; at < wanted.length; at += PART) {
    const part = wanted.slice(at, at + PART);
    const read = await readItems(
      asking,
      node,
      part.filter((id) => !onPage.has(id)),
    );
    if ("answer" in read) {
      yield { is: "failed", answer: read.answer };
      return;
    }
    const items = part.flatMap((id) => onPage.get(id) ?? read.items.get(id) ?? []);
    // What was evicted between the answers is gone.
    yield { is: "read", events: { isGap: items.length < part.length, items } };
  }
}

async function readItems(
  { ask, requests }: Asking,
  node: string,
  ids: readonly string[],
): Promise<{ readonly items: ReadonlyMap<string, NodeItem> } | { readonly answer: IqFailure }> {
  const items = new Map<string, NodeItem>();
  let failed: IqFailure | undefined;
  const pages = Array.from({ length: Math.ceil(ids.length / PAGE) }, (_, at) =>
    ids.slice(at * PAGE, (at + 1) * PAGE),
  );
  await eachOf(pages, { most: PAGES }, async (page) => {
    const answer = await ask(requests.items(node, { ids: page }));
    if (answer.is === "result") for (const item of itemsIn(answer.stanza)) items.set(item.id, item);
    else if (answer.is !== "error" || answer.condition !== "item-not-found") failed = answer;
  });
  return failed === undefined ? { items } : { answer: failed };
}

/** Prosody lists ids the other way round than items: told by those that have been read, oldest first. */
function isYoungestFirst(ids: readonly string[], read: readonly string[]): boolean {
  const places = read.map((id) => ids.indexOf(id)).filter((at) => at >= 0);
  return (places[0] ?? 0) > (places.at(-1) ?? 0);
}

const itemsIn = (stanza: Element): readonly NodeItem[] =>
  itemsOf(stanza).slice(-MOST_ITEMS).map(readNodeItem);
