import {
  createHub,
  createMemoryStore,
  type Hub,
  type Message,
  type Port,
  type Store,
  silentLog,
  systemClock,
} from "@nomq/core";
import { createLink } from "../../src/link/create-link.ts";
import type { IqAnswer, Link } from "../../src/link/link.ts";
import { submission } from "../../src/nodes/config-form.ts";
import { nodeOfChannel, titleOfChannel } from "../../src/nodes/node-name.ts";
import { type PubsubRequests, requestsTo } from "../../src/nodes/pubsub-request.ts";
import { itemPayload } from "../../src/payload/item.ts";
import { createReceiving } from "../../src/receiving/create-receiving.ts";
import type { Receiving, ReceivingOptions } from "../../src/receiving/receiving.ts";
import { element } from "../../src/stream/build.ts";
import { type Element, Namespace } from "../../src/stream/element.ts";

export const PUBSUB = "pubsub.localhost";
export const requests: PubsubRequests = requestsTo(PUBSUB);

/** Back at once after a server that was ended; one that a busy machine keeps waiting is not given up. */
const PATIENT = { timeoutMs: 60_000 };
const TIMES = { firstDelayMs: 20, longestDelayMs: 50, answerMs: 60_000, deadAfterMs: 60_000 };

/** A connection of somebody: `alice@localhost/RESOURCE`. */
export interface Client extends AsyncDisposable {
  readonly link: Link;
  /** Sends it and fails the test unless it is done. */
  done(iq: Element): Promise<Element>;
  ask(iq: Element): Promise<IqAnswer>;
}

export async function client(service: string, name = "alice", resource = "test"): Promise<Client> {
  const link = createLink({
    ...{ service, domain: "localhost", username: name, password: `${name}pw`, resource },
    ...{ clock: systemClock, log: silentLog, times: TIMES },
  });
  link.start();
  await online(link);
  return {
    link,
    ask: (iq) => link.request(iq, PATIENT),
    async done(iq) {
      const answer = await link.request(iq, PATIENT);
      if (answer.is !== "result") throw new Error(`${JSON.stringify(answer)} to ${iq.toString()}`);
      return answer.stanza;
    },
    [Symbol.asyncDispose]: () => link[Symbol.asyncDispose](),
  };
}

async function online(link: Link): Promise<void> {
  if (link.state().is === "online") return;
  await new Promise<void>((resolve) => {
    const stop = link.onState(({ is }) => {
      if (is !== "online") return;
      stop();
      resolve();
    });
  });
}

/** A hub whose only bridge is a link that receives. */
export interface World extends AsyncDisposable {
  readonly hub: Hub;
  readonly port: Port;
  readonly link: Link;
  readonly receiving: Receiving;
  /** What came out of the hub, oldest first. */
  readonly messages: Message[];
  /** The payloads of a channel as text; of the state in brackets. */
  texts(channel?: string): string[];
}

export async function receivingFrom(
  service: string,
  more: Partial<ReceivingOptions> & {
    readonly store?: Store;
    readonly access?: Parameters<typeof createHub>[0];
  } = {},
): Promise<World> {
  const { store = createMemoryStore(), access = {}, ...rest } = more;
  const hub = createHub({ store, ...access });
  const messages: Message[] = [];
  await hub.start();
  const port = hub.port("xmpp");
  const attachment = `xmpp:${PUBSUB}`;
  const deliver = async (): Promise<{ is: "delivered" }> => ({ is: "delivered" });
  await port.attach({ name: attachment, as: "*", durable: true, echoes: false, filters: [], deliver });
  await hub.port("watch").attach({
    ...{ name: "watch", as: "*", durable: false, filters: ["#"] },
    deliver: async (message) => {
      messages.push(message);
      return { is: "delivered" };
    },
  });
  const link = createLink({
    ...{ service, domain: "localhost", username: "gw", password: "gwpw", resource: "nomq-g" },
    ...{ clock: systemClock, log: silentLog, times: TIMES },
  });
  const options = { link, port, attachment, pubsub: PUBSUB, subscribe: ["#"], gateway: "g", findEveryMs: 50 };
  const receiving = createReceiving({ ...options, ...rest });
  await receiving.restore();
  receiving.start();
  link.start();
  const text = ({ payload, retain }: Message): string => {
    const words = Buffer.from(payload).toString();
    return retain ? `[${words}]` : words;
  };
  return {
    ...{ hub, port, link, receiving, messages },
    texts: (channel) =>
      messages.filter((each) => channel === undefined || each.channel === channel).map(text),
    async [Symbol.asyncDispose]() {
      await receiving[Symbol.asyncDispose]();
      await link[Symbol.asyncDispose]();
      await hub[Symbol.asyncDispose]();
    },
  };
}

/** A request that makes a channel's node. */
export const create = (channel: string, items = 50): Element =>
  requests.create(
    nodeOfChannel(channel),
    submission({
      ...{ max_items: String(items), persist_items: "1", send_last_published_item: "on_sub" },
      ...(titleOfChannel(channel) === undefined ? {} : { title: titleOfChannel(channel) ?? "" }),
    }),
  );

/** A request that publishes an item. */
export const publish = (channel: string, id: string, payload: Element): Element =>
  requests.publish(nodeOfChannel(channel), id, payload);

export const retract = (channel: string, id: string): Element =>
  requests.retract(nodeOfChannel(channel), id, true);

/** Foreign JSON. */
export const json = (text: string): Element => element("json", { xmlns: Namespace.json }, [text]);

/** What a gateway writes. */
export function ours(
  text: string,
  more: Partial<Message> & { gateway?: string; expiresInMs?: number } = {},
): Element {
  const { gateway = "other", expiresInMs, ...message } = more;
  const made = itemPayload(
    {
      ...{ id: idOf(text), seq: 1, channel: "c", payload: Buffer.from(text), qos: 1, retain: false },
      ...{ priority: 0, publishedAt: 0, origin: "x", ...message },
    },
    { gateway, ...(expiresInMs === undefined ? {} : { expiresInMs }) },
  );
  if (made === "too-large") throw new Error(made);
  return made;
}

/** An id for a text. */
export const idOf = (text: string): string => Buffer.from(text).toString("hex").padStart(32, "0").slice(-32);
