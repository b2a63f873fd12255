import type { Prosody } from "../../../test/real/prosody.ts";
import type { IqAnswer } from "../src/link/link.ts";
import { itemsOf, requestsTo } from "../src/nodes/pubsub-request.ts";
import { readItem } from "../src/payload/item.ts";
import { readNodeItem, readNotification } from "../src/receiving/notification.ts";
import { type Element, Namespace } from "../src/stream/element.ts";
import { type Linked, linked } from "./link/linked.ts";

/** An item as a client sees it. */
export interface SeenItem {
  readonly node: string;
  readonly id: string;
  readonly text: string;
  readonly payload: Element;
}

/** Somebody else at the same pubsub service, as a person's program would be. */
export interface PubsubClient extends AsyncDisposable {
  readonly jid: string;
  /** Items that it was told of, in order. */
  readonly seen: readonly SeenItem[];
  /** Retractions that it was told of, as `NODE ITEM`. */
  readonly retracted: readonly string[];
  ask(iq: Element): Promise<IqAnswer>;
  create(node: string): Promise<IqAnswer>;
  subscribe(node: string): Promise<IqAnswer>;
  unsubscribe(node: string): Promise<IqAnswer>;
  publish(node: string, id: string, payload: Element): Promise<IqAnswer>;
  retract(node: string, id: string): Promise<IqAnswer>;
  /** Items that lie on the node, oldest first; undefined: there is no such node. */
  items(node: string): Promise<readonly SeenItem[] | undefined>;
  /** The node's configuration, as its owner sees it. */
  configuration(node: string): Promise<ReadonlyMap<string, string>>;
  delete(node: string): Promise<IqAnswer>;
}

const passwords: Readonly<Record<string, string>> = { gw: "gwpw", alice: "alicepw", bob: "bobpw" };
let resources = 0;

/** Connects, as one of the users that every test server has. */
export async function connectClient(
  prosody: Pick<Prosody, "service" | "pubsub">,
  username: "alice" | "bob" | "gw",
): Promise<PubsubClient> {
  const { pubsub, service } = prosody;
  const password = passwords[username] ?? "";
  const own: Linked = linked(service, { username, password, resource: `client-${++resources}` });
  const { jid } = await own.until("online");
  const requests = requestsTo(pubsub);
  const seen: SeenItem[] = [];
  const retracted: string[] = [];
  const seenOf = (node: string, id: string, payload: Element | undefined): SeenItem[] =>
    payload === undefined
      ? []
      : [{ node, id, payload, text: Buffer.from(readItem(payload)?.payload ?? []).toString() }];
  own.link.onStanza((stanza) => {
    const told = readNotification(stanza, pubsub);
    for (const event of told.is === "events" ? told.events : []) {
      if (event.is === "item") seen.push(...seenOf(event.node, event.item.id, event.item.payload));
      if (event.is === "retract") retracted.push(`${event.node} ${event.id}`);
    }
  });
  // A busy machine may keep the server waiting: that is no answer of its own.
  const ask = (iq: Element): Promise<IqAnswer> => own.link.request(iq, { timeoutMs: 60_000 });
  return {
    ...{ jid, seen, retracted, ask },
    create: (node) => ask(requests.create(node)),
    subscribe: (node) => ask(requests.subscribe(node, jid)),
    unsubscribe: (node) => ask(requests.unsubscribe(node, { jid })),
    publish: (node, item, payload) => ask(requests.publish(node, item, payload)),
    retract: (node, item) => ask(requests.retract(node, item, true)),
    async items(node) {
      const answer = await ask(requests.items(node, { most: 1_000 }));
      if (answer.is !== "result") return undefined;
      return itemsOf(answer.stanza)
        .map(readNodeItem)
        .flatMap(({ id, payload }) => seenOf(node, id, payload));
    },
    async configuration(node) {
      const answer = await ask(requests.configuration(node));
      if (answer.is !== "result") return new Map();
      const owner = answer.stanza.getChild("pubsub", Namespace.pubsubOwner);
      const form = owner?.getChild("configure")?.getChild("x", Namespace.forms);
      const fields = form?.getChildren("field") ?? [];
      return new Map(
        fields.map((field) => [
          (field.attrs["var"] ?? "").replace(/^pubsub#/, ""),
          field.getChild("value")?.getText() ?? "",
        ]),
      );
    },
    delete: (node) => ask(requests.delete(node)),
    [Symbol.asyncDispose]: () => own[Symbol.asyncDispose](),
  };
}
