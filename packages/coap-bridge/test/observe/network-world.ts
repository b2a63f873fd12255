import type { Draft, Hub, Port } from "@nomq/core";
import { createHub, createMemoryStore, createStatusFeed } from "@nomq/core";
import { createFakeClock, createPrng, type FakeClock, settle } from "@nomq/core/testing";
import { createCounters } from "../../src/counters.ts";
import type { CoapSocket, ReceiveDatagram } from "../../src/listen/coap-socket.ts";
import { createCoapLosses } from "../../src/losses.ts";
import { createMessaging } from "../../src/messaging/create-messaging.ts";
import type { Messaging } from "../../src/messaging/messaging.ts";
import { listenerSettings } from "../../src/options.ts";
import { placesOf } from "../../src/programs/places.ts";
import { gatesOf } from "../../src/server/admission.ts";
import { type CoapServer, openServer } from "../../src/server/server.ts";
import { type CoapMessage, MessageType, OptionNumber } from "../../src/wire/coap-message.ts";
import { codeText, EMPTY, Method } from "../../src/wire/code.ts";
import { decodeMessage } from "../../src/wire/decode.ts";
import { encodeEmpty, encodeMessage } from "../../src/wire/encode.ts";
import { readUint, uintValue } from "../../src/wire/option-value.ts";
import { encodeTail } from "../../src/wire/tail.ts";

const HOST = "192.0.2.1";

/** One datagram of the server, as its receiver reads it. */
export interface Got {
  readonly type: "CON" | "NON" | "ACK" | "RST";
  readonly code: string;
  readonly messageId: number;
  readonly token: string;
  readonly text: string;
  readonly observe: number | undefined;
  readonly option: (number: number) => Uint8Array | undefined;
  readonly at: number;
}

/** What a request says besides its path. */
export interface Asking {
  readonly type?: "CON" | "NON";
  readonly token?: string;
  readonly query?: readonly string[];
  readonly observe?: 0 | 1;
  readonly options?: readonly (readonly [number: number, value: Uint8Array])[];
  readonly payload?: string | Uint8Array;
}

/** An endpoint of its own: it acknowledges, unless told not to. */
export interface Device {
  /** Everything it received, in order. */
  readonly got: Got[];
  /** What it does with a CON: `acknowledge` (default), `reset`, or nothing. Resets a NON too where told so. */
  manners: "acknowledge" | "reset" | "silent";
  /** Sends and answers the first thing that comes back for its token. */
  ask(method: keyof typeof Method, path: string, asking?: Asking): Promise<Got>;
  /** Sends the datagram of the last request again. */
  again(): Promise<void>;
  /** Received since the last call. */
  take(): Got[];
}

/** A gateway's CoAP server on a network in memory, with time that stands still. */
export interface NetworkWorld extends AsyncDisposable {
  readonly clock: FakeClock;
  readonly hub: Hub;
  readonly server: CoapServer;
  readonly messaging: Messaging;
  /** Share of datagrams lost each way. */
  loss: number;
  /** Datagrams of the server, lost ones included. */
  readonly sent: { readonly port: number; readonly at: number; readonly type: number }[];
  device(port: number): Device;
  publish(channel: string, payload: string | Uint8Array, draft?: Partial<Draft>): Promise<void>;
}

const TYPES = ["CON", "NON", "ACK", "RST"] as const;

function readGot(datagram: Uint8Array, at: number): Got {
  const message: CoapMessage | undefined = decodeMessage(datagram);
  if (message === undefined) throw new Error(`not a CoAP message: ${Buffer.from(datagram).toString("hex")}`);
  const option = (number: number): Uint8Array | undefined => {
    const value = message.options.find((one) => one.number === number)?.value;
    return value && new Uint8Array(value);
  };
  const observe = option(OptionNumber.observe);
  return {
    ...{ type: TYPES[message.type], code: codeText(message.code), messageId: message.messageId, option, at },
    token: Buffer.from(message.token).toString(),
    text: Buffer.from(message.payload).toString(),
    observe: observe && readUint(observe, 3),
  };
}

/** Makes and starts it. `seed` decides what is lost. */
export async function createNetworkWorld(seed = 1): Promise<NetworkWorld> {
  const clock = createFakeClock();
  const random = createPrng(seed).next;
  const devices = new Map<number, (datagram: Uint8Array) => void>();
  let receive: ReceiveDatagram = () => undefined;
  const sent: { port: number; at: number; type: number }[] = [];
  const isLost = (): boolean => world.loss > 0 && random() < world.loss;
  // A datagram arrives in a turn of its own, as on a network.
  const carry = (arrive: () => void): void => {
    if (!isLost()) queueMicrotask(arrive);
  };
  const [settings] = listenerSettings({ listen: [{ url: "coap://127.0.0.1:0", anonymous: ["0.0.0.0/0"] }] });
  if (settings === undefined) throw new Error("no listener");
  const socket: CoapSocket = {
    name: settings.name,
    local: { host: "127.0.0.1", port: 5683 },
    send(datagram, port) {
      const copy = datagram.slice();
      sent.push({ port, at: clock.monotonic(), type: ((copy[0] ?? 0) >> 4) & 3 });
      carry(() => devices.get(port)?.(copy));
    },
    onDatagram: (take) => {
      receive = take;
    },
    hostOf: (address) => address,
    addressOf: (host) => host,
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  const hub = createHub({ clock, store: createMemoryStore({ clock }) });
  let server: CoapServer | undefined;
  const feed = createStatusFeed(() => clock.now());
  const stop = async (): Promise<void> => {
    await server?.close();
    await messaging[Symbol.asyncDispose]();
  };
  const messaging = createMessaging({
    ...{ clock, random, trusted: [`${HOST}/32`] },
    serve: (request) => server?.serve(request),
  });
  hub.add({
    name: "coap",
    async attach(port: Port) {
      const losses = createCoapLosses(() => port.log);
      const none = { places: placesOf([], ""), prefix: "", counters: createCounters(), losses };
      server = await openServer({ port, gates: gatesOf([settings]), ...none });
    },
    async start() {
      messaging.listen(socket);
      server?.begin(messaging);
    },
    ...{ stop, [Symbol.asyncDispose]: stop, addresses: () => [] },
    ...{ status: () => feed.current(), statusChanges: (abort) => feed.changes(abort) },
  });
  await hub.start();
  if (server === undefined) throw new Error("not attached");

  const device = (port: number): Device => {
    let messageId = port * 100;
    let taken = 0;
    let last: Uint8Array = new Uint8Array(0);
    const put = (datagram: Uint8Array): void => {
      carry(() => receive(datagram.slice(), HOST, { port, toGroup: false }));
    };
    const made: Device = {
      got: [],
      manners: "acknowledge",
      async ask(method, path, asking = {}) {
        messageId += 1;
        const token = asking.token ?? `t${messageId}`;
        last = requestOf(method, path, { ...asking, token, messageId });
        const before = made.got.length;
        put(last);
        await settle();
        const answer = made.got.slice(before).find((one) => one.token === token && one.code !== "0.00");
        if (answer === undefined && world.loss === 0) throw new Error(`${method} ${path}: no answer`);
        return answer ?? readGot(encodeEmpty(MessageType.reset, 0), clock.monotonic());
      },
      async again() {
        put(last);
        await settle();
      },
      take() {
        const fresh = made.got.slice(taken);
        taken = made.got.length;
        return fresh;
      },
    };
    devices.set(port, (datagram) => {
      const got = readGot(datagram, clock.monotonic());
      made.got.push(got);
      if (got.type === "ACK" || got.type === "RST" || made.manners === "silent") return;
      if (made.manners === "reset") put(encodeEmpty(MessageType.reset, got.messageId));
      else if (got.type === "CON") put(encodeEmpty(MessageType.acknowledgement, got.messageId));
    });
    return made;
  };
  const opened = server;
  const world: NetworkWorld = {
    ...{ clock, hub, server: opened, messaging, sent, device },
    loss: 0,
    async publish(channel, payload, draft = {}) {
      const bytes = typeof payload === "string" ? Buffer.from(payload) : payload;
      const full = { channel, payload: bytes, qos: 1 as const, retain: true, contentType: "text/plain" };
      await hub.port("other").publish({ ...full, ...draft }, "*");
      await settle();
    },
    async [Symbol.asyncDispose]() {
      await hub[Symbol.asyncDispose]();
    },
  };
  return world;
}

function requestOf(
  method: keyof typeof Method,
  path: string,
  asking: Asking & { readonly token: string; readonly messageId: number },
): Uint8Array {
  const { type = "CON", token, messageId, query = [], observe, options = [], payload = "" } = asking;
  const all = [
    ...(observe === undefined ? [] : [{ number: OptionNumber.observe, value: uintValue(observe) }]),
    ...path.split("/").map((level) => ({ number: OptionNumber.uriPath, value: Buffer.from(level) })),
    ...query.map((one) => ({ number: OptionNumber.uriQuery, value: Buffer.from(one) })),
    ...options.map(([number, value]) => ({ number, value })),
  ].toSorted((one, other) => one.number - other.number);
  const header = {
    type: type === "CON" ? MessageType.confirmable : MessageType.nonConfirmable,
    ...{ code: Method[method] ?? EMPTY, messageId, token: Buffer.from(token) },
  };
  return encodeMessage(header, encodeTail(all, typeof payload === "string" ? Buffer.from(payload) : payload));
}
