import {
  createHub,
  createMemoryStore,
  type Draft,
  type Log,
  type Port,
  type Receipt,
  silentLog,
} from "@nomq/core";
import { createFakeClock, type FakeClock } from "@nomq/core/testing";
import type { IqAnswer } from "../../src/link/link.ts";
import { createReceiving } from "../../src/receiving/create-receiving.ts";
import type { Receiving } from "../../src/receiving/receiving.ts";
import type { Element } from "../../src/stream/element.ts";
import { parsed } from "../parsed.ts";
import { scriptedLink } from "./scripted-link.ts";

const PUBSUB = "http://jabber.org/protocol/pubsub";
const EVENT = `${PUBSUB}#event`;

/** Receiving with a link that a script answers. */
export interface Scripted extends AsyncDisposable {
  readonly receiving: Receiving;
  readonly clock: FakeClock;
  /** Requests so far, as the name of what is asked and its node; `remember` is what went into the store. */
  readonly asked: string[];
  /** Lines of the log. */
  readonly warned: readonly string[];
  /** What was published, state in brackets. */
  readonly texts: string[];
  /** Items by node, oldest first, as XML of the payload by id. */
  readonly nodes: Map<string, Map<string, string>>;
  readonly subscribed: Set<string>;
  /** Requests, as in `asked`, that the service never answers. */
  readonly unanswered: Set<string>;
  /** Is told of each request before it is answered. */
  onAsk: (what: string) => void;
  /** While set, the hub answers nothing. */
  hub: "answers" | "hangs";
  online(resumed: boolean): void;
  tell(node: string, inside: string, attributes?: string, beside?: string): void;
  /** Tells what stands in an event, of nodes rather than of items. */
  tellOf(inside: string): void;
  release(): void;
  /** Somebody of another protocol sets the channel's state in the hub. */
  setInHub(channel: string, json: string): Promise<void>;
}

/** Makes one with those nodes. */
export async function scripted(...channels: readonly string[]): Promise<Scripted> {
  const clock = createFakeClock();
  const hub = createHub({ store: createMemoryStore(), clock });
  await hub.start();
  const real = hub.port("xmpp");
  const texts: string[] = [];
  const asked: string[] = [];
  const warned: string[] = [];
  const held: (() => void)[] = [];
  const nodes = new Map(channels.map((channel) => [channel, new Map<string, string>()]));
  const subscribed = new Set<string>();

  const publish = async ({ payload, retain }: Draft): Promise<Receipt> => {
    if (world.hub === "hangs") await new Promise<void>((resolve) => held.push(resolve));
    const text = Buffer.from(payload).toString();
    texts.push(retain ? `[${text}]` : text);
    return { id: "x", channel: "c", at: "stored", outcomes: [] };
  };
  const remember: Port["remember"] = async (changes) => {
    await real.remember(changes);
    asked.push("remember");
  };
  const log: Log = { ...silentLog, warn: (text, fields) => warned.push(`${text} ${JSON.stringify(fields)}`) };
  const port: Port = Object.assign(Object.create(real), { publish, clock, remember, log });
  const answer = (iq: Element): string => {
    const [query] = iq.children.filter((child) => typeof child !== "string");
    const [action] = query?.getChildElements() ?? [];
    const node = action?.attrs["node"] ?? query?.attrs["node"] ?? "";
    asked.push(`${action?.name ?? query?.name} ${node}`.trim());
    const items = nodes.get(node);
    if (action?.name === "subscriptions")
      return `<subscriptions>${[...subscribed].map((each) => `<subscription node='${each}' jid='gw@h/r'/>`).join("")}</subscriptions>`;
    if (action?.name === "subscribe") subscribed.add(node);
    if (action?.name === "items") {
      const ids = action.getChildren("item").map(({ attrs }) => attrs["id"] ?? "");
      const most = Number(action.attrs["max_items"] ?? 1_000);
      const found = [...(items ?? [])].filter(([id]) => ids.length === 0 || ids.includes(id)).slice(-most);
      return `<items node='${node}'>${found.map(([id, xml]) => `<item id='${id}'>${xml}</item>`).join("")}</items>`;
    }
    return "";
  };
  const list = (node: string | undefined): string =>
    node === undefined
      ? [...nodes.keys()].map((each) => `<item node='${each}'/>`).join("")
      : [...(nodes.get(node)?.keys() ?? [])].map((id) => `<item name='${id}'/>`).join("");
  const request = async (iq: Element): Promise<IqAnswer> => {
    const query = iq.getChild("query");
    const inside = answer(iq);
    world.onAsk(asked.at(-1) ?? "");
    if (world.unanswered.has(asked.at(-1) ?? "")) {
      await new Promise<void>((resolve) => void clock.after(15_000, resolve));
      return { is: "unanswered" };
    }
    const body =
      query === undefined
        ? `<pubsub xmlns='${PUBSUB}'>${inside}</pubsub>`
        : `<query xmlns='${query.getNS()}'>${list(query.attrs["node"])}</query>`;
    return { is: "result", stanza: parsed(`<iq type='result'>${body}</iq>`) };
  };
  const { link, online, tell } = scriptedLink(request);
  const receiving = createReceiving({
    ...{ link, port, attachment: "x", pubsub: "pubsub.h", subscribe: ["#"], gateway: "g" },
  });
  await receiving.restore();
  receiving.start();
  const world: Scripted = {
    ...{ receiving, clock, asked, warned, texts, nodes, subscribed, hub: "answers" },
    ...{ onAsk: () => undefined, unanswered: new Set() },
    online,
    tell(node, inside, attributes = "", beside = "") {
      const stanza = parsed(
        `<message from='pubsub.h'${attributes}><event xmlns='${EVENT}'><items node='${node}'>${inside}</items></event>${beside}</message>`,
      );
      tell(stanza);
    },
    tellOf: (inside) =>
      tell(parsed(`<message from='pubsub.h'><event xmlns='${EVENT}'>${inside}</event></message>`)),
    async setInHub(channel, json) {
      const state = { channel, payload: Buffer.from(json), contentType: "application/json" };
      await hub.port("other").publish({ ...state, qos: 1, retain: true }, "anonymous", { until: "stored" });
    },
    release() {
      world.hub = "answers";
      for (const go of held.splice(0)) go();
    },
    async [Symbol.asyncDispose]() {
      world.release();
      await receiving[Symbol.asyncDispose]();
      await hub[Symbol.asyncDispose]();
    },
  };
  return world;
}

export const item = (id: string, value: string): string => `<item id='${id}'>${jsonXml(value)}</item>`;
export const jsonXml = (value: string): string => `<json xmlns='urn:xmpp:json:0'>${value}</json>`;
