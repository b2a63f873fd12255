import { itemsOf, requestsTo } from "../../packages/xmpp-bridge/src/nodes/pubsub-request.ts";
import { readItem } from "../../packages/xmpp-bridge/src/payload/item.ts";
import {
  type NodeItem,
  readNodeItem,
  readNotification,
} from "../../packages/xmpp-bridge/src/receiving/notification.ts";
import { element } from "../../packages/xmpp-bridge/src/stream/build.ts";
import { type Element, Namespace } from "../../packages/xmpp-bridge/src/stream/element.ts";
import { type Linked, linked } from "../../packages/xmpp-bridge/test/link/linked.ts";
import type { Prosody } from "../real/prosody.ts";
import type { Book, Sent } from "../trust/book.ts";
import { asSent, idOf, payloadOf } from "../trust/xmpp-items.ts";

/** Somebody at the server itself, with a connection that comes back after each of its ends. */
export interface XmppParty extends AsyncDisposable {
  /** Sends an iq; throws unless it is done. */
  done(iq: Element): Promise<Element>;
  /** Publishes an item and settles it in the book once the service has answered. */
  publish(sent: Sent): Promise<void>;
  /** Reads nodes as any program may: told live, and after each new session from the items. Each item is one, however often it is told. */
  read(nodes: readonly string[], party: string): Promise<void>;
  /** What a node holds, oldest first. */
  items(node: string): Promise<readonly NodeItem[]>;
}

/** As many as a Prosody keeps unless told otherwise. */
const MOST_ITEMS = 256;
/** Items of events may wait for a server that is started again. */
const PATIENCE_MS = 60_000;

/** Connects an account of the server. */
export async function openXmppParty(prosody: Prosody, username: string, book: Book): Promise<XmppParty> {
  const { pubsub, service } = prosody;
  const own = linked(service, { username, password: `${username}pw`, resource: "party" });
  await own.until("online");
  const requests = requestsTo(pubsub);
  const done = async (iq: Element, first = false): Promise<Element> => {
    const answer = await own.link.request(iq, { timeoutMs: PATIENCE_MS, first });
    if (answer.is !== "result")
      throw new Error(`${JSON.stringify(answer)} to ${iq.toString().slice(0, 300)}`);
    return answer.stanza;
  };
  const items = async (node: string): Promise<readonly NodeItem[]> => {
    const stanza = await done(requests.items(node, { most: MOST_ITEMS }), true);
    return itemsOf(stanza).map(readNodeItem);
  };
  return {
    done,
    items,
    async publish(sent) {
      await done(requests.publish(sent.channel, idOf(sent), payloadOf(sent)));
      book.settle(sent, "acked");
    },
    read: (nodes, party) => read({ own, pubsub, nodes, items, party, book, done }),
    [Symbol.asyncDispose]: () => own[Symbol.asyncDispose](),
  };
}

interface Reading {
  readonly own: Linked;
  readonly pubsub: string;
  readonly nodes: readonly string[];
  readonly party: string;
  readonly book: Book;
  items(node: string): Promise<readonly NodeItem[]>;
  done(iq: Element, first: boolean): Promise<Element>;
}

function read({ own, pubsub, nodes, items, party, book, done }: Reading): Promise<void> {
  const seen = new Set<string>();
  /** What is told while the items are read comes after them. */
  let live: (() => void)[] | undefined;
  let session = 0;
  const take = (channel: string, { id, payload }: NodeItem): void => {
    if (seen.has(`${channel} ${id}`) || payload === undefined) return;
    seen.add(`${channel} ${id}`);
    const { payload: bytes = Buffer.alloc(0), qos = 0 } = readItem(payload) ?? {};
    book.receive(party, { id: Buffer.from(bytes).toString(), channel, qos });
  };
  const catchUp = async (jid: string): Promise<void> => {
    const mine = ++session;
    const waiting: (() => void)[] = [];
    live = waiting;
    for (const node of nodes) {
      await done(requestsTo(pubsub).subscribe(node, jid), true);
      const there = await items(node);
      if (mine !== session) return;
      for (const item of asSent(there)) take(node, item);
    }
    for (const each of waiting) each();
    live = undefined;
  };
  own.link.onStanza((stanza) => {
    const told = readNotification(stanza, pubsub);
    for (const event of told.is === "events" ? told.events : []) {
      if (event.is !== "item") continue;
      if (live === undefined) take(event.node, event.item);
      else live.push(() => take(event.node, event.item));
    }
  });
  const failed = (error: unknown): void => book.fail(new Error("the reader cannot read", { cause: error }));
  own.link.onState((state) => {
    if (state.is === "online" && !state.resumed) catchUp(state.jid).catch(failed);
  });
  const now = own.link.state();
  if (now.is !== "online") throw new Error("not online");
  return catchUp(now.jid);
}

/** Creates a node that keeps so many items. */
export function createNode(pubsub: string, node: string, history: number): Element {
  const field = (name: string, value: string): Element =>
    element("field", { var: name }, [element("value", {}, [value])]);
  const form = element("x", { xmlns: Namespace.forms, type: "submit" }, [
    field("FORM_TYPE", "http://jabber.org/protocol/pubsub#node_config"),
    field("pubsub#max_items", String(history)),
    field("pubsub#persist_items", "1"),
  ]);
  return element("iq", { type: "set", to: pubsub }, [
    element("pubsub", { xmlns: Namespace.pubsub }, [
      element("create", { node }),
      element("configure", {}, [form]),
    ]),
  ]);
}
