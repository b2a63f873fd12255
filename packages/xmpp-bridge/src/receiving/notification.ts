import { bareJid } from "@nomq/core";
import { type Element, Namespace } from "../stream/element.ts";
import { ownText } from "../stream/own-text.ts";

/** More items in one notification than any server sends: the rest is not read. */
const MOST_ITEMS = 1_000;

/** An item as it lies on a node. Of all but its payload no more is kept than this. */
export interface NodeItem {
  readonly id: string;
  /** Bare JID, where the server says who it was; empty: what it says is none, and no rule can name it. */
  readonly publisher?: string;
  /** Absent: none, or several. */
  readonly payload?: Element;
}

/** What became of a node, or of something on it (XEP-0060 sections 7.1.2, 7.2.2, 8.2, 8.4 and 8.5). */
export type NodeEvent =
  | { readonly is: "item"; readonly node: string; readonly item: NodeItem; readonly stamp?: number }
  | { readonly is: "retract"; readonly node: string; readonly id: string }
  | { readonly is: "purge" | "delete" | "configuration"; readonly node: string };

/** What a message is to us. */
export type Notification =
  | {
      readonly is: "events";
      readonly events: readonly NodeEvent[];
      /** Who kept the message before it came here, in lower case; absent: nobody said so. */
      readonly keptBy?: string;
    }
  /** Somebody else plays the service: servers hand on such messages with their true sender. */
  | { readonly is: "other-source" }
  | { readonly is: "nothing" };

/** Reads a message; only what the service itself sent counts. */
export function readNotification(message: Element, service: string): Notification {
  if (message.getName() !== "message" || message.attrs["type"] === "error") return { is: "nothing" };
  const event = message.getChild("event", Namespace.pubsubEvent);
  if (event === undefined) return { is: "nothing" };
  if (message.attrs["from"]?.toLowerCase() !== service.toLowerCase()) return { is: "other-source" };
  const stamp = stampIn(message);
  const events = event.getChildElements().flatMap((each) => eventsIn(each, stamp));
  const keptBy = message.getChild("delay", Namespace.delay)?.attrs["from"]?.toLowerCase();
  return { is: "events", events, ...(keptBy === undefined ? {} : { keptBy }) };
}

function eventsIn(child: Element, stamp: number | undefined): readonly NodeEvent[] {
  const { node: named = "" } = child.attrs;
  const kind = child.getName();
  if (named === "") return [];
  const node = ownText(named);
  if (kind === "purge" || kind === "delete" || kind === "configuration") return [{ is: kind, node }];
  if (kind !== "items") return [];
  const events: NodeEvent[] = [];
  for (const each of child.getChildElements().slice(0, MOST_ITEMS)) {
    const { id } = each.attrs;
    if (each.getName() === "retract" && id !== undefined)
      events.push({ is: "retract", node, id: ownText(id) });
    if (each.getName() === "item")
      events.push({ is: "item", node, item: readNodeItem(each), ...(stamp === undefined ? {} : { stamp }) });
  }
  return events;
}

/** Reads an `item` of a notification, or of an answer. */
export function readNodeItem(item: Element): NodeItem {
  const [payload, ...more] = item.getChildElements();
  const { publisher } = item.attrs;
  return {
    id: ownText(item.attrs["id"] ?? ""),
    ...(publisher === undefined ? {} : { publisher: bareJid(publisher) ?? "" }),
    ...(payload === undefined || more.length > 0 ? {} : { payload }),
  };
}

/** XEP-0082 section 3.2, as far as XEP-0203 allows it: always in UTC. */
const STAMP = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z$/;

/** When a notification that was kept was first sent (XEP-0203), Unix milliseconds. */
function stampIn(message: Element): number | undefined {
  const text = message.getChild("delay", Namespace.delay)?.attrs["stamp"];
  if (text === undefined || !STAMP.test(text)) return undefined;
  const at = Date.parse(text);
  return Number.isNaN(at) ? undefined : at;
}
