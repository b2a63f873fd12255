import { createHub, createMemoryStore, type Hub, type Message } from "@nomq/core";
import { createFakeClock, createFaultyStore, type FakeClock, type FaultyStore } from "@nomq/core/testing";
import type { IqAnswer } from "../../src/link/link.ts";
import { createReceiving } from "../../src/receiving/create-receiving.ts";
import type { Receiving } from "../../src/receiving/receiving.ts";
import type { Element } from "../../src/stream/element.ts";
import { parsed } from "../parsed.ts";
import { scriptedLink } from "./scripted-link.ts";
import { jsonXml } from "./scripted-world.ts";

const PUBSUB = "http://jabber.org/protocol/pubsub";
const EVENT = `${PUBSUB}#event`;

/** A node of the toy server. */
interface ToyNode {
  /** XML of the payload by item id, oldest first; one that is published again becomes the youngest. */
  readonly items: Map<string, string>;
  isSubscribed: boolean;
}

/** A server that outlives the gateway, a gateway that can be killed, and the store that stays. */
export interface RestartWorld extends AsyncDisposable {
  readonly clock: FakeClock;
  readonly store: FaultyStore;
  readonly receiving: Receiving;
  readonly hub: Hub;
  /** Items that a node keeps. */
  history: number;
  readonly nodes: ReadonlyMap<string, ToyNode>;
  /** Channels whose states were told to have been pushed out. */
  readonly evicted: readonly string[];
  create(node: string): void;
  delete(node: string): void;
  publish(node: string, id: string, xml: string): void;
  retract(node: string, id: string): void;
  /** Texts of the channel's messages that are in the hub for good, each once per message; state in brackets. */
  texts(channel: string): string[];
  latest(channel: string): Promise<string | undefined>;
  /** Puts a value into the hub as another bridge would. */
  set(channel: string, text: string): Promise<Message | undefined>;
  /** Turns of the event loop. */
  turns(many: number): Promise<void>;
  /** The session is lost, and `online` makes a new one. */
  offline(): void;
  online(): void;
  /** Kills the gateway; `start` makes another one. `last`: whether an open commit reached the disk. */
  crash(last: "in" | "out"): void;
  stop(): Promise<void>;
  start(): Promise<void>;
  /** Until nothing moves, looks for nodes included. */
  rest(): Promise<void>;
}

interface Life {
  readonly hub: Hub;
  readonly receiving: Receiving;
  isAlive: boolean;
  isOnline: boolean;
  tell(stanza: Element): void;
  online(): void;
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const never = <T>(): Promise<T> => new Promise<T>(() => undefined);

/** Makes one whose gateway runs and is not online. */
export async function restartWorld(...names: readonly string[]): Promise<RestartWorld> {
  const clock = createFakeClock();
  let store = createFaultyStore(createMemoryStore({ clock }));
  const nodes = new Map<string, ToyNode>();
  const heard = new Map<string, Message>();
  const evicted: string[] = [];
  let life: Life;

  const tell = (inside: string): void => {
    const told = life;
    const stanza = parsed(`<message from='pubsub.h'><event xmlns='${EVENT}'>${inside}</event></message>`);
    if (told.isOnline) setImmediate(() => told.isAlive && told.isOnline && told.tell(stanza));
  };
  const tellItem = (node: string, id: string, xml: string): void =>
    tell(`<items node='${node}'><item id='${id}'>${xml}</item></items>`);
  const answer = toyAnswers(nodes, tellItem);
  const start = async (): Promise<void> => {
    life = await startLife({ clock, store, answer, heard, evicted });
  };
  for (const name of names) nodes.set(name, { items: new Map(), isSubscribed: false });
  await start();

  const world: RestartWorld = {
    ...{ clock, nodes, evicted, history: 1_000, start },
    get store() {
      return store;
    },
    get receiving() {
      return life.receiving;
    },
    get hub() {
      return life.hub;
    },
    create: (node) => void nodes.set(node, { items: new Map(), isSubscribed: false }),
    delete(node) {
      const there = nodes.get(node);
      nodes.delete(node);
      if (there?.isSubscribed === true) tell(`<delete node='${node}'/>`);
    },
    publish(node, id, xml) {
      const there = nodes.get(node);
      if (there === undefined) return;
      there.items.delete(id);
      there.items.set(id, xml);
      const [oldest] = there.items.keys();
      if (there.items.size > world.history && oldest !== undefined) there.items.delete(oldest);
      if (there.isSubscribed) tellItem(node, id, xml);
    },
    retract(node, id) {
      const there = nodes.get(node);
      if (there?.items.delete(id) === true && there.isSubscribed)
        tell(`<items node='${node}'><retract id='${id}'/></items>`);
    },
    texts: (channel) => [...heard.values()].filter((message) => message.channel === channel).map(textOf),
    async latest(channel) {
      const value = await life.hub.port("test").latest(channel, "*");
      return value === undefined ? undefined : Buffer.from(value.payload).toString();
    },
    async set(channel, text) {
      const port = life.hub.port("test");
      await port.publish({ channel, payload: Buffer.from(text), qos: 1, retain: true }, "*");
      return port.latest(channel, "*");
    },
    async turns(many) {
      for (let at = 0; at < many; at += 1) await turn();
    },
    offline() {
      life.isOnline = false;
    },
    online: () => life.online(),
    crash(last) {
      life.isAlive = false;
      store = store.crash(last);
    },
    async stop() {
      let isStopped = false;
      const stopping = (async () => {
        await life.receiving[Symbol.asyncDispose]();
        await life.hub[Symbol.asyncDispose]();
        isStopped = true;
      })();
      // What a failed commit has left to be written waits for its time.
      for (let seconds = 0; seconds < 30 && !isStopped; seconds += 1) {
        await turn();
        if (!isStopped) await clock.advance(1_000);
      }
      await stopping;
      life.isAlive = false;
    },
    async rest() {
      for (let at = 0; at < 3; at += 1) await clock.advance(60_000);
    },
    async [Symbol.asyncDispose]() {
      if (life.isAlive) await world.stop();
    },
  };
  return world;
}

const textOf = ({ payload, retain }: Message): string => {
  const text = Buffer.from(payload).toString();
  return retain ? `[${text}]` : text;
};

type Answers = (iq: Element) => IqAnswer;

/** What the service answers; as Prosody it tells the youngest item to who subscribes. */
function toyAnswers(
  nodes: Map<string, ToyNode>,
  tellItem: (node: string, id: string, xml: string) => void,
): Answers {
  const result = (body: string): IqAnswer => ({
    is: "result",
    stanza: parsed(`<iq type='result'>${body}</iq>`),
  });
  const pubsub = (inside = ""): IqAnswer => result(`<pubsub xmlns='${PUBSUB}'>${inside}</pubsub>`);
  const missing: IqAnswer = { is: "error", type: "cancel", condition: "item-not-found" };
  const subscribe = (node: string, there: ToyNode): IqAnswer => {
    const [id, xml] = [...there.items].at(-1) ?? [];
    if (!there.isSubscribed && id !== undefined && xml !== undefined) tellItem(node, id, xml);
    there.isSubscribed = true;
    return pubsub();
  };
  const items = (node: string, { items: all }: ToyNode, action: Element): IqAnswer => {
    const ids = action.getChildren("item").map(({ attrs }) => attrs["id"] ?? "");
    const most = Number(action.attrs["max_items"] ?? 1_000);
    const found = [...all].filter(([id]) => ids.length === 0 || ids.includes(id)).slice(-most);
    const inside = found.map(([id, xml]) => `<item id='${id}'>${xml}</item>`).join("");
    return pubsub(`<items node='${node}'>${inside}</items>`);
  };
  const list = (query: Element): IqAnswer => {
    const of = nodes.get(query.attrs["node"] ?? "");
    const inside =
      of === undefined
        ? [...nodes.keys()].map((node) => `<item node='${node}'/>`)
        : [...of.items.keys()].map((id) => `<item name='${id}'/>`);
    return result(`<query xmlns='${query.getNS()}'>${inside.join("")}</query>`);
  };
  return (iq) => {
    const query = iq.getChild("query");
    if (query !== undefined) return list(query);
    const [action] = iq.getChild("pubsub")?.getChildElements() ?? [];
    const node = action?.attrs["node"] ?? "";
    const there = nodes.get(node);
    if (action?.name === "subscriptions") {
      const own = [...nodes].filter(([, { isSubscribed }]) => isSubscribed);
      const inside = own.map(([name]) => `<subscription node='${name}' jid='gw@h/r'/>`).join("");
      return pubsub(`<subscriptions>${inside}</subscriptions>`);
    }
    if (there === undefined || action === undefined) return missing;
    if (action.name === "subscribe") return subscribe(node, there);
    return action.name === "items" ? items(node, there, action) : pubsub();
  };
}

async function startLife({
  answer,
  clock,
  evicted,
  heard,
  store,
}: {
  readonly answer: Answers;
  readonly clock: FakeClock;
  readonly heard: Map<string, Message>;
  readonly evicted: string[];
  readonly store: FaultyStore;
}): Promise<Life> {
  const hub = createHub({ store, clock });
  await hub.start();
  const port = hub.port("xmpp");
  await hub.port("sink").attach({
    ...{ name: "sink", as: "*", durable: true, filters: ["#"] },
    deliver: async (message) => {
      if (life.isAlive) heard.set(message.id, message);
      return { is: "delivered" };
    },
  });
  const request = async (iq: Element): Promise<IqAnswer> => {
    await turn();
    if (!life.isAlive) return never();
    const said = answer(iq);
    await turn();
    return life.isAlive ? said : never();
  };
  const { link, online, tell } = scriptedLink(request);
  const receiving = createReceiving({
    ...{ link, port, attachment: "x", pubsub: "pubsub.h", subscribe: ["#"], gateway: "g" },
    evicted: (channel) => void evicted.push(channel),
  });
  const life: Life = {
    ...{ hub, receiving, isAlive: true, isOnline: false },
    tell,
    online() {
      life.isOnline = true;
      online(false);
    },
  };
  await receiving.restore();
  receiving.start();
  return life;
}

/** What a gateway writes: an item with a name of its own. */
export const gatewayXml = (text: string, gateway = "other", id: string = text): string =>
  `<text xmlns='urn:nomq:xmpp:0' oid='${id}' gw='${gateway}' qos='2'>${text}</text>`;
export const foreignXml: (text: string) => string = jsonXml;
