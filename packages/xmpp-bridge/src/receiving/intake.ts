import { createHash } from "node:crypto";
import { bareJid, type Draft, type Principal } from "@nomq/core";
import { draftFromItem } from "../mapping.ts";
import { type ReadItem, readItem } from "../payload/item.ts";
import { STATE_ITEM } from "../payload/state-item.ts";
import { type Lifetime, lifetimeOf } from "./lifetime.ts";
import { CLEARED, markOf } from "./marks.ts";
import {
  isSamePrint,
  isSeenAs,
  type NodeMemory,
  printOf,
  withCurrent,
  withEvent,
  withState,
} from "./node-memory.ts";
import type { NodeItem } from "./notification.ts";
import type { Place } from "./place.ts";
import type { SentItems } from "./sent-items.ts";
import type { Tally } from "./tally.ts";

/** What taking items in needs. */
export interface IntakeOptions {
  /** The address of the service: who speaks where it does not say who published. */
  readonly pubsub: string;
  /** Our own name in items. */
  readonly gateway: string;
  /** Our account, where it is known. */
  account(): string | undefined;
  readonly sentItems: SentItems;
  readonly tally: Tally;
  now(): number;
}

/** Where an item comes from. */
export interface ItemSource {
  /** Found in the history, not told. */
  readonly isHistory: boolean;
  /** It may have been seen before: told while the history was read, or with the subscription. */
  readonly mayRepeat: boolean;
  readonly stamp?: number | undefined;
}

/** Item ids that are longer are nobody's. */
const MOST_ID = 1_024;

/** Makes items messages. */
export interface Intake {
  /** Resolves when the next may come. */
  item(place: Place, item: NodeItem, source: ItemSource): Promise<void>;
  /** The node has no state any more; nobody says who took it away. */
  clear(place: Place): Promise<void>;
  /** Remembers an event that is from before our time. */
  skip(place: Place, item: NodeItem): void;
}

/** An item that can be read, and what is to be said of it. */
interface Judged {
  readonly id: string;
  readonly found: ReadItem;
  readonly print: string;
  readonly lifetime: Lifetime;
  /** We have published it. */
  readonly isOwn: boolean;
  /** Why it becomes no message; undefined: it does. */
  readonly unsaid: "duplicates" | "echoes" | "expired" | undefined;
}

/** Makes it. */
export function createIntake(options: IntakeOptions): Intake {
  const { pubsub, tally } = options;
  const service = principalOf(bareJid(pubsub) ?? "");
  const clear = async (
    place: Place,
    { from = service, memory = withCurrent(place.memory, undefined) } = {},
  ): Promise<void> => {
    place.memory = memory;
    const mark = markOf(place.node, STATE_ITEM, memory.current?.print ?? CLEARED);
    const draft = clearingDraft(place.channel);
    await place.inflow.enter({ draft, from, memory, mark, as: "cleared" });
  };

  return {
    clear: (place) => clear(place),
    async item(place, item, source) {
      tally.add("received");
      const judged = judge(place, item, { ...options, source });
      if (judged === undefined) {
        tally.add("malformed");
        return;
      }
      const { id, found, unsaid } = judged;
      const had = place.memory.current;
      const from = item.publisher === undefined ? service : principalOf(item.publisher);
      place.memory = withItem(place.memory, judged);
      if (unsaid !== undefined) tally.add(unsaid);
      // What was set before it is no more the state than one that is over.
      const isOver = unsaid === "expired" && had !== undefined;
      if (id === STATE_ITEM && (isOver || (unsaid === undefined && found.payload.byteLength === 0)))
        await clear(place, { from, memory: place.memory });
      else if (unsaid === undefined) await enter(place, judged, { from, ...source });
      else place.inflow.pass(place.memory);
    },
    skip(place, item) {
      const found = readable(item);
      if (found === undefined || item.id === STATE_ITEM) return;
      place.memory = withEvent(place.memory, item.id, printOf(found, item.publisher));
      place.inflow.pass(place.memory);
    },
  };
}

const readable = ({ id, payload }: NodeItem): ReadItem | undefined =>
  payload === undefined || id === "" || id.length > MOST_ID ? undefined : readItem(payload);

function judge(
  { memory, node }: Place,
  item: NodeItem,
  { account, gateway, now, sentItems, source }: IntakeOptions & { readonly source: ItemSource },
): Judged | undefined {
  const found = readable(item);
  if (found === undefined) return undefined;
  const { id } = item;
  const print = printOf(found, item.publisher);
  // Anybody may write our name into an item, but not our account on it.
  const mayBeOwn = item.publisher === undefined || item.publisher === account();
  // Used up in any case: the service may tell the same again.
  const isTicketed = mayBeOwn && sentItems.take({ node, item: id, payload: found.payload });
  const isOwn = mayBeOwn && (isTicketed || found.gateway === gateway);
  const isKnown = isSeen(memory, id, print);
  const mayRepeat = source.mayRepeat || source.isHistory;
  const lifetime = lifetimeOf(found, { now: now(), stamp: source.stamp });
  const judged = { id, found, print, lifetime, isOwn };
  if (isKnown && mayRepeat) return { ...judged, unsaid: "duplicates" };
  if (isOwn) return { ...judged, unsaid: "echoes" };
  if (isKnown && hasOrigin(found)) return { ...judged, unsaid: "duplicates" };
  return { ...judged, unsaid: lifetime.is === "over" ? "expired" : undefined };
}

const isSeen = (memory: NodeMemory, id: string, print: string): boolean =>
  id === STATE_ITEM ? isSamePrint(memory.current?.print, print) : isSeenAs(memory, id, print);

function withItem(memory: NodeMemory, { id, isOwn, print, unsaid }: Judged): NodeMemory {
  if (id !== STATE_ITEM) return withEvent(memory, id, print);
  // When it was set is known since it was first seen.
  return unsaid === "duplicates" ? memory : withState(memory, print, isOwn);
}

/**
 * A gateway's event has a name of its own, which the hub keeps for a day: it comes once, whoever sends it again. Others,
 * and states, may honestly come back as they were: a mark tells of them until the memory of the node does.
 */
async function enter(
  { channel, inflow, memory, node }: Place,
  { found, id, lifetime, print }: Judged,
  { from, isHistory }: { readonly from: Principal; readonly isHistory: boolean },
): Promise<void> {
  const draft = draftFromItem({
    ...{ channel, id, item: found },
    ...(lifetime.is === "left" ? { expiresInMs: lifetime.ms } : {}),
  });
  const once = id === STATE_ITEM ? undefined : onceOf(node, id, found);
  // What leaves nothing in the store is not worth a write of its own.
  const isMarked = once === undefined && (draft.qos !== 0 || draft.retain === true);
  await inflow.enter({
    ...{ draft, from, memory, as: isHistory ? "caughtUp" : "published" },
    ...(once === undefined ? {} : { once }),
    ...(isMarked ? { mark: markOf(node, id, print) } : {}),
  });
}

/** The channel has no state any more. */
const clearingDraft = (channel: string): Draft => ({
  channel,
  payload: new Uint8Array(),
  qos: 1,
  retain: true,
});

const principalOf = (jid: string): Principal => `jid:${jid}`;

const hasOrigin = ({ gateway, originId }: ReadItem): boolean =>
  gateway !== undefined && originId !== undefined;

/** Names that a store can keep as they are. */
const MOST_ONCE = 300;

/** Names a gateway's event, under whatever id it lies. */
function onceOf(node: string, id: string, { gateway, originId, qos }: ReadItem): string | undefined {
  if (gateway === undefined || originId === undefined || qos === 0) return undefined;
  const name = `xmpp/${node}/${id}/${gateway}/${originId}`;
  return name.length <= MOST_ONCE ? name : `xmpp/${createHash("sha256").update(name).digest("base64url")}`;
}
