import { requestsTo } from "../../packages/xmpp-bridge/src/nodes/pubsub-request.ts";
import { itemPayload, readItem } from "../../packages/xmpp-bridge/src/payload/item.ts";
import { publishIq } from "../../packages/xmpp-bridge/src/publishing/stanzas.ts";
import { readNotification } from "../../packages/xmpp-bridge/src/receiving/notification.ts";
import { element } from "../../packages/xmpp-bridge/src/stream/build.ts";
import { type Element, Namespace } from "../../packages/xmpp-bridge/src/stream/element.ts";
import { linked } from "../../packages/xmpp-bridge/test/link/linked.ts";
import { missingPeers } from "../real/peer-packages.ts";
import { startProsody } from "../real/prosody.ts";
import type { Book, Sent } from "./book.ts";

/** Whether there is a server to start; without it the others are tried alone, and a skipped suite says so. */
export const HAS_XMPP: boolean = missingPeers(["prosody", "openssl"]).length === 0;

/** A server, somebody who reads what the gateway writes there, and somebody whose items the gateway reads. */
export interface XmppStage extends AsyncDisposable {
  /** The gateway's configuration. */
  readonly section: Readonly<Record<string, unknown>>;
  /** Publishes an item; settles in the book with the server's word. Resolves when it is settled. */
  publish(sent: Sent): Promise<void>;
  /** Resolves once the gateway has found the nodes it reads: only what comes after that is for it. */
  ready(subscribed: () => Promise<number>): Promise<void>;
}

/** What it is made of. */
export interface XmppStageOptions {
  readonly book: Book;
  /** The name of the reader in the book. */
  readonly reader: string;
  /** Channels that the gateway writes, of events alone. */
  readonly written: readonly string[];
  /** Channels that it reads. */
  readonly read: readonly string[];
}

/** Longer than any trouble lasts. */
const HISTORY = 250;
const LOOK_AGAIN_MS = 50;

/** Starts the server with the nodes in it, and connects the two. */
export async function openXmppStage({ book, reader, written, read }: XmppStageOptions): Promise<XmppStage> {
  await using stack = new AsyncDisposableStack();
  const prosody = stack.use(await startProsody({ admins: ["gw@localhost", "alice@localhost"] }));
  const { pubsub, service, domain } = prosody;
  const requests = requestsTo(pubsub);
  const session = async (username: string): Promise<ReturnType<typeof linked>> => {
    const own = linked(service, { username, password: `${username}pw`, resource: "trust" });
    stack.use(own);
    await own.until("online");
    return own;
  };
  const done = async (own: ReturnType<typeof linked>, iq: Element): Promise<void> => {
    const answer = await own.link.request(iq);
    if (answer.is !== "result") throw new Error(`${JSON.stringify(answer)} to ${iq.toString()}`);
  };
  const [owner, alice, bob] = [await session("gw"), await session("alice"), await session("bob")];
  for (const node of written) await done(owner, requests.create(node));
  for (const node of read) await done(alice, createWithHistory(pubsub, node));
  const seen = new Set<string>();
  bob.link.onStanza((stanza) => {
    const told = readNotification(stanza, pubsub);
    for (const event of told.is === "events" ? told.events : []) {
      // Sent again after a lost session, an item has the same id: that is how readers know it.
      if (event.is !== "item" || seen.has(event.item.id) || event.item.payload === undefined) continue;
      seen.add(event.item.id);
      const { payload = Buffer.alloc(0), qos = 0 } = readItem(event.item.payload) ?? {};
      book.receive(reader, { id: Buffer.from(payload).toString(), channel: event.node, qos });
    }
  });
  for (const node of written) await done(bob, requests.subscribe(node, "bob@localhost/trust"));
  const kept = stack.move();
  return {
    section: {
      ...{ service, domain, username: "gw", password: "gwpw", history: HISTORY },
      ...{ publish: written, subscribe: read },
    },
    async publish(sent) {
      const iq = publishIq({ pubsub, node: sent.channel, item: idOf(sent) }, payloadOf(sent));
      const { is } = await alice.link.request(iq);
      book.settle(sent, is === "result" ? "acked" : "unknown");
    },
    async ready(subscribed) {
      while ((await subscribed()) < read.length)
        await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

const idOf = ({ id }: Sent): string => Buffer.from(id).toString("hex").padStart(32, "0").slice(-32);

/** As a gateway writes it. Of QoS 1 without the name that tells repeats apart, as other programs do. */
function payloadOf(sent: Sent): Element {
  const { channel, id, place, qos, retain } = sent;
  const message = { id: idOf(sent), seq: place, priority: 0, publishedAt: sent.sentAt, origin: "trust" };
  const made = itemPayload(
    { ...message, channel, qos, retain, payload: Buffer.from(id) },
    { gateway: "trust" },
  );
  if (made === "too-large") throw new Error(made);
  if (qos < 2) for (const name of ["n:oid", "n:gw"]) delete made.attrs[name];
  return made;
}

function createWithHistory(pubsub: string, node: string): Element {
  const field = (name: string, value: string): Element =>
    element("field", { var: name }, [element("value", {}, [value])]);
  const form = element("x", { xmlns: Namespace.forms, type: "submit" }, [
    field("FORM_TYPE", "http://jabber.org/protocol/pubsub#node_config"),
    field("pubsub#max_items", String(HISTORY)),
    field("pubsub#persist_items", "1"),
  ]);
  return element("iq", { type: "set", to: pubsub }, [
    element("pubsub", { xmlns: Namespace.pubsub }, [
      element("create", { node }),
      element("configure", {}, [form]),
    ]),
  ]);
}
