import { itemsOf, requestsTo } from "../../packages/xmpp-bridge/src/nodes/pubsub-request.ts";
import { readItem } from "../../packages/xmpp-bridge/src/payload/item.ts";
import { STATE_ITEM } from "../../packages/xmpp-bridge/src/payload/state-item.ts";
import {
  type NodeEvent,
  type NodeItem,
  readNodeItem,
  readNotification,
} from "../../packages/xmpp-bridge/src/receiving/notification.ts";
import { element } from "../../packages/xmpp-bridge/src/stream/build.ts";
import { type Element, Namespace } from "../../packages/xmpp-bridge/src/stream/element.ts";
import { type Linked, linked } from "../../packages/xmpp-bridge/test/link/linked.ts";
import type { Prosody } from "../real/prosody.ts";
import type { Book, Sent } from "./book.ts";
import { asSent, idOf, payloadOf } from "./xmpp-items.ts";

/** Where a party of XMPP stands: its server, its account there, and the book. */
export interface XmppPartyOptions {
  readonly prosody: Prosody;
  readonly account: string;
  readonly book: Book;
}

/** Somebody who publishes items. */
export interface XmppPublisher extends AsyncDisposable {
  /** Settles in the book with the server's word. Resolves when it is settled. */
  publish(sent: Sent): Promise<void>;
}

const RESOURCE = "trust";
/** A limit against hanging: a busy machine's server takes its time, and a request without an answer leaves open what holds. */
const ANSWER = { timeoutMs: 120_000 };

/** States are `r/`: their nodes keep one item. */
const isState = (node: string): boolean => node.startsWith("r/");

async function openSession({ prosody, account }: XmppPartyOptions): Promise<Linked> {
  const own = linked(prosody.service, {
    username: account,
    password: `${account}pw`,
    resource: RESOURCE,
  });
  await own.until("online");
  return own;
}

/** Makes nodes that are the account's: with so many items, or as the server has them. */
export async function makeNodes(
  { prosody, account }: Pick<XmppPartyOptions, "prosody" | "account">,
  nodes: readonly string[],
  history?: number,
): Promise<void> {
  const { pubsub, service } = prosody;
  await using own = linked(service, { username: account, password: `${account}pw`, resource: "maker" });
  for (const node of nodes) {
    const form = history === undefined ? undefined : nodeForm(isState(node) ? 1 : history);
    const answer = await own.link.request(requestsTo(pubsub).create(node, form), ANSWER);
    if (answer.is !== "result") throw new Error(`no node ${node}: ${JSON.stringify(answer)}`);
  }
}

/** Connects a publisher. */
export async function openXmppPublisher(options: XmppPartyOptions): Promise<XmppPublisher> {
  const session = await openSession(options);
  const { book, prosody } = options;
  const requests = requestsTo(prosody.pubsub);
  return {
    async publish(sent) {
      const { channel: node, clears } = sent;
      const item = isState(node) ? STATE_ITEM : idOf(sent);
      const iq = clears ? requests.retract(node, item, true) : requests.publish(node, item, payloadOf(sent));
      const answer = await session.link.request(iq, ANSWER);
      const isThere =
        answer.is === "result" || (clears && answer.is === "error" && answer.condition === "item-not-found");
      book.settle(sent, isThere ? "acked" : "unknown");
    },
    [Symbol.asyncDispose]: () => session[Symbol.asyncDispose](),
  };
}

/** Connects a reader, who is told of nodes and, after each new session, reads what it has missed of them. */
export async function openXmppReader(
  name: string,
  { nodes, ...options }: XmppPartyOptions & { readonly nodes: readonly string[] },
): Promise<AsyncDisposable> {
  const own = await openSession(options);
  const { book, account, prosody } = options;
  const { pubsub, domain } = prosody;
  const { link } = own;
  const requests = requestsTo(pubsub);
  /** By node: what is told of it while it is read. */
  const held = new Map<string, NodeEvent[]>();
  const seen = new Set<string>();
  let sessions = 0;
  const take = (node: string, { id, payload }: NodeItem): void => {
    // Sent again after a lost session, an event has the same id: that is how readers know it. States lie under one.
    if (payload === undefined || seen.has(id)) return;
    if (id !== STATE_ITEM) seen.add(id);
    const { payload: bytes = Buffer.alloc(0), qos = 0 } = readItem(payload) ?? {};
    book.receive(name, { id: Buffer.from(bytes).toString(), channel: node, qos });
  };
  const clear = (node: string): void => book.receive(name, { id: "", channel: node, qos: 0 });
  const hear = (event: NodeEvent): void => {
    if (event.is === "item") take(event.node, event.item);
    else if (event.is === "retract" && event.id === STATE_ITEM) clear(event.node);
  };
  const ask = async (iq: Element): Promise<Element | undefined> => {
    const session = sessions;
    const answer = await link.request(iq, ANSWER);
    // The session was lost meanwhile: in the next one all is asked again.
    if (session !== sessions || link.state().is === "closed") return undefined;
    if (answer.is !== "result") throw new Error(`${name} cannot read: ${JSON.stringify(answer)}`);
    return answer.stanza;
  };
  const catchUp = async (node: string): Promise<void> => {
    held.set(node, []);
    if ((await ask(requests.subscribe(node, `${account}@${domain}/${RESOURCE}`))) === undefined) return;
    for (;;) {
      const between: NodeEvent[] = [];
      if (isState(node)) held.set(node, between);
      const answer = await ask(requests.items(node, { ids: [] }));
      if (answer === undefined) return;
      // Whether a state was told before or after it was read, nobody knows.
      if (between.length > 0) continue;
      const items = itemsOf(answer).map(readNodeItem);
      for (const item of asSent(items)) take(node, item);
      if (isState(node) && items.length === 0) clear(node);
      break;
    }
    const told = held.get(node) ?? [];
    held.delete(node);
    for (const event of told) hear(event);
  };
  const catchUpAll = async (): Promise<void> => {
    sessions += 1;
    await Promise.all(nodes.map(catchUp));
  };
  link.onStanza((stanza) => {
    const told = readNotification(stanza, pubsub);
    for (const event of told.is === "events" ? told.events : []) {
      const between = held.get(event.node);
      if (between === undefined) hear(event);
      else between.push(event);
    }
  });
  link.onState((state) => {
    if (state.is !== "online" || state.resumed) return;
    catchUpAll().catch((error: unknown) =>
      book.fail(error instanceof Error ? error : new Error(String(error))),
    );
  });
  await catchUpAll();
  return own;
}

function nodeForm(items: number): Element {
  const field = (name: string, value: string): Element =>
    element("field", { var: name }, [element("value", {}, [value])]);
  return element("x", { xmlns: Namespace.forms, type: "submit" }, [
    field("FORM_TYPE", "http://jabber.org/protocol/pubsub#node_config"),
    field("pubsub#max_items", String(items)),
    field("pubsub#persist_items", "1"),
    field("pubsub#notify_retract", "1"),
  ]);
}
