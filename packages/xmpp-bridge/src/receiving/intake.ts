import { createHash } from "node:crypto";
import { bareJid, type Principal } from "@nomq/core";
import { draftFromItem } from "../mapping.ts";
import { type ReadItem, readItem } from "../payload/item.ts";
import { lifetimeOf } from "./lifetime.ts";
import { isSamePrint, printOf, withCurrent, withEvent } from "./node-memory.ts";
import type { NodeItem } from "./notification.ts";
import type { Place } from "./place.ts";
import type { SentItems } from "./sent-items.ts";
import { CURRENT, clearingDraft } from "./state-item.ts";
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

/** Item ids that are longer are nobody's: the store would have to keep them. */
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

/** Makes it. */
export function createIntake({ account, gateway, now, pubsub, sentItems, tally }: IntakeOptions): Intake {
  const remember = (place: Place, id: string, { print, isOwn }: { print: string; isOwn: boolean }): void => {
    place.memory =
      id === CURRENT ? withCurrent(place.memory, { print, isOwn }) : withEvent(place.memory, id, print);
  };
  const isRepeated = ({ memory }: Place, id: string, print: string): boolean =>
    isSamePrint(id === CURRENT ? memory.current?.print : memory.events.get(id), print);
  const read = ({ id, payload }: NodeItem): ReadItem | undefined =>
    payload === undefined || id === "" || id.length > MOST_ID ? undefined : readItem(payload);
  const service = principalOf(bareJid(pubsub) ?? "");
  const clear = async (place: Place, from = service): Promise<void> => {
    place.memory = withCurrent(place.memory, undefined);
    const draft = clearingDraft(place.channel);
    await place.inflow.enter({ draft, from, memory: place.memory, as: "cleared" });
  };

  const isOurs = (node: string, { id, publisher }: NodeItem, found: ReadItem): boolean => {
    // Anybody may write our name into an item, but not our account on it.
    const mayBeOwn = publisher === undefined || publisher === account();
    // Used up in any case: the service may tell the same again.
    const isTicketed = mayBeOwn && sentItems.take({ node, item: id, payload: found.payload });
    return mayBeOwn && (isTicketed || found.gateway === gateway);
  };

  return {
    clear: (place) => clear(place),
    async item(place, item, source) {
      tally.add("received");
      const found = read(item);
      if (found === undefined) {
        tally.add("malformed");
        return;
      }
      const { id } = item;
      const print = printOf(found, item.publisher);
      const from = item.publisher === undefined ? service : principalOf(item.publisher);
      const isOwn = isOurs(place.node, item, found);
      const isRepeat =
        (hasOrigin(found) || source.mayRepeat || source.isHistory) && isRepeated(place, id, print);
      const lifetime = lifetimeOf(found, { now: now(), stamp: source.stamp });
      remember(place, id, { print, isOwn });
      const unsaid = unsaidFor({ isOwn, isRepeat, isOver: lifetime.is === "over" });
      if (unsaid !== undefined) {
        tally.add(unsaid);
        place.inflow.pass(place.memory);
        return;
      }
      if (id === CURRENT && found.payload.byteLength === 0) {
        await clear(place, from);
        return;
      }
      const left = lifetime.is === "left" ? { expiresInMs: lifetime.ms } : {};
      const once = onceOf(place.node, id, found);
      await place.inflow.enter({
        draft: draftFromItem({ channel: place.channel, id, item: found, ...left }),
        from,
        memory: place.memory,
        as: source.isHistory ? "caughtUp" : "published",
        ...(once === undefined ? {} : { once }),
      });
    },
    skip(place, item) {
      const found = read(item);
      if (found === undefined || item.id === CURRENT) return;
      remember(place, item.id, { print: printOf(found, item.publisher), isOwn: false });
      place.inflow.pass(place.memory);
    },
  };
}

/** Why an item is no message. */
function unsaidFor(what: {
  readonly isOwn: boolean;
  readonly isRepeat: boolean;
  readonly isOver: boolean;
}): "duplicates" | "echoes" | "expired" | undefined {
  if (what.isOwn) return "echoes";
  if (what.isRepeat) return "duplicates";
  return what.isOver ? "expired" : undefined;
}

const principalOf = (jid: string): Principal => `jid:${jid}`;

const hasOrigin = ({ gateway, originId }: ReadItem): boolean =>
  gateway !== undefined && originId !== undefined;

/** Names that a store can keep as they are. */
const MOST_ONCE = 300;

/**
 * Names a gateway's message, under whatever id it lies: a state always lies under the same, and is published again before
 * it is evicted. Foreign items have no such name: the same state may honestly come back.
 */
function onceOf(node: string, id: string, { gateway, originId, qos }: ReadItem): string | undefined {
  if (gateway === undefined || originId === undefined || qos === 0) return undefined;
  const name = `xmpp/${node}/${id}/${gateway}/${originId}`;
  return name.length <= MOST_ONCE ? name : `xmpp/${createHash("sha256").update(name).digest("base64url")}`;
}
