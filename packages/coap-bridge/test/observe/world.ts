import type { Access, Bridge, Draft, Hub, Message, Port, SessionEntry } from "@nomq/core";
import { createHub, createMemoryStore, createStatusFeed } from "@nomq/core";
import {
  createFakeClock,
  createFaultyStore,
  type FakeClock,
  type FaultyStore,
  settle,
} from "@nomq/core/testing";
import type { Remote } from "../../src/messaging/messaging.ts";
import type { ObserveLimits, Observers, Registration, Show } from "../../src/observe/observers.ts";
import { openObservers } from "../../src/observe/open-observers.ts";
import { ORDER_MODULUS } from "../../src/observe/order-numbers.ts";
import { type CoapOption, OptionNumber } from "../../src/wire/coap-message.ts";
import { Response } from "../../src/wire/code.ts";
import { encodeTail } from "../../src/wire/tail.ts";
import { createToyMessaging, endpoint, type Heard, type ToyMessaging } from "./toy-messaging.ts";

const encoder = new TextEncoder();

/** Content-Formats by MIME type, as far as these tests go. */
const FORMATS: Readonly<Record<string, number>> = { "text/plain": 0, "application/json": 50 };

/** What a notification says, read back from its tail. */
export interface Said {
  readonly code: number;
  readonly observe: number | undefined;
  readonly text: string;
}

/** A toy encoding, so that these tests do not stand on the resources room: text `FORMAT|OBSERVE|PAYLOAD`. */
export const toyShow: Show = ({ message, observe, accept }) => {
  const format = message === undefined ? undefined : (FORMATS[message.contentType ?? ""] ?? 42);
  if (accept !== undefined && format !== undefined && accept !== format) {
    return { code: Response.notAcceptable };
  }
  const options: CoapOption[] = [];
  if (observe !== undefined) options.push({ number: OptionNumber.observe, value: bytesOf(observe) });
  return { code: Response.content, tail: encodeTail(options, message?.payload), format };
};

const bytesOf = (value: number): Uint8Array => Uint8Array.of(value >> 16, (value >> 8) & 0xff, value & 0xff);

/** Reads what {@link toyShow} wrote. */
export function read({
  code,
  tail = new Uint8Array(0),
}: {
  code: number;
  tail?: Uint8Array | undefined;
}): Said {
  const hasObserve = tail[0] === 0x63;
  const observe = hasObserve ? ((tail[1] ?? 0) << 16) | ((tail[2] ?? 0) << 8) | (tail[3] ?? 0) : undefined;
  const at = hasObserve ? 4 : 0;
  const payload = tail[at] === 0xff ? tail.subarray(at + 1) : new Uint8Array(0);
  return { code, observe, text: new TextDecoder().decode(payload) };
}

/** A hub, the room under test and a toy message layer, which can be started again over the same store. */
export interface World extends AsyncDisposable {
  readonly clock: FakeClock;
  readonly hub: Hub;
  readonly store: FaultyStore;
  readonly observers: Observers;
  readonly net: ToyMessaging;
  /** Publishes as another attachment would. */
  publish(channel: string, text: string, draft?: Partial<Draft>): Promise<void>;
  /** PUT: publishes as the bridge itself does, and tells the observers. */
  put(channel: string, text: string, draft?: Partial<Draft>): Promise<Message>;
  /** DELETE. */
  remove(channel: string): Promise<void>;
  register(from: Remote, token: string, channel: string, more?: Partial<Registration>): Promise<Said>;
  /** Everything that went out since the last call, unanswered. */
  take(): Promise<Heard[]>;
  /** The same, answered as by observers that are well. */
  hear(): Promise<Said[]>;
  /** `cut`: killed while a commit was open, which is lost. */
  /** What the session log heard: `noun.verb who address filter qos reason`. */
  readonly records: string[];
  restart(how: "stop" | "kill" | "cut"): Promise<void>;
}

/** Options of {@link createWorld}. */
export interface WorldOptions {
  readonly limits?: Partial<ObserveLimits>;
  readonly access?: Access;
  readonly show?: Show;
  readonly begun?: (endpoint: string, transfer: string) => void;
  readonly reaches?: (key: string) => boolean;
}

interface Run {
  readonly hub: Hub;
  readonly observers: Observers;
  readonly net: ToyMessaging;
  readonly port: Port;
}

export const token = (text: string): Uint8Array => encoder.encode(text);

/** A bridge of nothing but observers. */
function observersBridge(open: (port: Port) => Promise<Observers>): Bridge & { room(): Observers } {
  let room: Observers | undefined;
  const feed = createStatusFeed(() => 0);
  const stop = async (): Promise<void> => room?.stop();
  return {
    name: "coap",
    room: () => room as Observers, // attached by then
    attach: async (port) => {
      room = await open(port);
    },
    start: async () => feed.set("ready"),
    stop,
    status: () => feed.current(),
    statusChanges: (abort) => feed.changes(abort),
    addresses: () => [],
    [Symbol.asyncDispose]: stop,
  };
}

/** Makes a world with time that stands still. */
export async function createWorld(options: WorldOptions = {}): Promise<World> {
  const { limits = {}, show = toyShow, begun = () => undefined, access, reaches } = options;
  const clock = createFakeClock();
  let store = createFaultyStore(createMemoryStore({ clock }));
  const records: string[] = [];
  const sessionLog = {
    record: ({ what, who, details = {} }: SessionEntry) =>
      void records.push([what, who, ...Object.values(details)].join(" ")),
  };
  const start = async (): Promise<Run> => {
    const net = createToyMessaging(reaches);
    const hub = createHub({ clock, store, sessionLog, ...(access === undefined ? {} : { access }) });
    let port: Port | undefined;
    const bridge = observersBridge((given) => {
      port = given;
      return openObservers({ port: given, show, limits, begun });
    });
    hub.add(bridge);
    await hub.start();
    const observers = bridge.room();
    observers.begin(net);
    await settle();
    if (port === undefined) throw new Error("not attached");
    return { hub, observers, net, port };
  };
  let run = await start();

  const send = async (channel: string, text: string, draft: Partial<Draft>): Promise<Message> => {
    const full = { channel, payload: encoder.encode(text), contentType: "text/plain", ...draft };
    const attachment = "coap:observers";
    const { id, at } = await run.port.publish(full, "*", { until: "stored", attachment });
    if (at === "refused") throw new Error("refused");
    const { ttlMs, ...rest } = full;
    const seq = Number.parseInt(id.slice(16), 16);
    const times = {
      publishedAt: clock.now(),
      ...(ttlMs === undefined ? {} : { expiresAt: clock.now() + ttlMs }),
    };
    return { qos: 1, retain: false, priority: 0, ...rest, ...times, id, seq, origin: attachment };
  };
  const take = async (): Promise<Heard[]> => {
    await settle();
    return run.net.take();
  };
  return {
    clock,
    records,
    take,
    get store() {
      return store;
    },
    get hub() {
      return run.hub;
    },
    get observers() {
      return run.observers;
    },
    get net() {
      return run.net;
    },
    async publish(channel, text, draft = {}) {
      const full = { channel, payload: encoder.encode(text), qos: 1 as const, retain: true, ...draft };
      await run.hub.port("other").publish({ contentType: "text/plain", ...full }, "*");
      await settle();
    },
    async put(channel, text, draft = {}) {
      const message = await send(channel, text, { qos: 1, retain: true, ...draft });
      run.observers.changed(message);
      await settle();
      return message;
    },
    async remove(channel) {
      const { seq } = await send(channel, "", { qos: 1, retain: true });
      run.observers.deleted(channel, seq);
      await settle();
    },
    async register(from, name, channel, more = {}) {
      const facts = { from, token: token(name), channel, as: "anonymous" as const, confirmable: true };
      const answer = await run.observers.register({ ...facts, ...more });
      await settle();
      return read(answer);
    },
    async hear() {
      const all: Said[] = [];
      for (let fresh = await take(); fresh.length > 0; fresh = await take()) {
        for (const heard of fresh) heard.acknowledge();
        all.push(...fresh.map(read));
      }
      return all;
    },
    async restart(how) {
      if (how === "stop") await run.hub[Symbol.asyncDispose]();
      else store = store.crash(how === "kill" ? "in" : "out");
      run = await start();
    },
    async [Symbol.asyncDispose]() {
      await run.hub[Symbol.asyncDispose]();
    },
  };
}

/** The endpoints of these tests. */
export const ANN: Remote = endpoint(1001);
export const BEN: Remote = endpoint(1002);

export const texts = (all: readonly { readonly text: string }[]): string[] => all.map(({ text }) => text);

/** RFC 7641 section 3.4, for two numbers heard within 128 s. */
export const isNewer = (later: number | undefined, earlier: number | undefined): boolean => {
  if (later === undefined || earlier === undefined || later === earlier) return false;
  return (later - earlier + ORDER_MODULUS) % ORDER_MODULUS < ORDER_MODULUS / 2;
};
