import {
  createHub,
  createMemoryStore,
  type Hub,
  type Log,
  type Message,
  type Port,
  type SessionEntry,
  type Store,
  silentLog,
  type Transport,
} from "@nomq/core";
import {
  createFakeClock,
  createMemoryNetwork,
  createPrng,
  type FakeClock,
  type MemoryNetwork,
} from "@nomq/core/testing";
import { type CoapClient, createClient } from "../../src/client/client.ts";
import type { ClientOptions } from "../../src/client/client-options.ts";
import { createToyPeer, type ToyPeer } from "./toy-peer.ts";

/** A hub, a network in memory with one peer at 10.0.0.9, and time that stands still. */
export interface World extends AsyncDisposable {
  readonly clock: FakeClock;
  readonly network: MemoryNetwork;
  readonly hub: Hub;
  readonly peer: ToyPeer;
  readonly client: CoapClient;
  /** Messages of any channel, in the order the hub delivered them. */
  readonly heard: Message[];
  readonly recorded: SessionEntry[];
  /** Another endpoint. */
  open(host: string, port?: number): Transport;
  /** Lets what is due happen. */
  settle(): Promise<void>;
  latest(channel: string): Promise<Message | undefined>;
  port(): Port;
}

export interface WorldOptions {
  readonly client: ClientOptions;
  readonly store?: Store;
  readonly log?: Log;
  readonly resolve?: (name: string) => Promise<readonly string[]>;
  readonly seed?: number;
  /** Default: at once. */
  readonly isStarted?: boolean;
  readonly prepare?: (peer: ToyPeer) => void;
}

export const SENSOR = { host: "10.0.0.9", port: 5683 };

export async function createWorld(options: WorldOptions): Promise<World> {
  const clock = createFakeClock();
  const network = createMemoryNetwork({ clock });
  const recorded: SessionEntry[] = [];
  const sessionLog = { record: (entry: SessionEntry) => void recorded.push(entry) };
  const hub = createHub({
    store: options.store ?? createMemoryStore(),
    clock,
    sessionLog,
    log: options.log ?? silentLog,
  });
  await hub.start();
  const port = hub.port("coap");
  const heard: Message[] = [];
  const listener = await hub.port("test").attach({
    name: "test:listener",
    as: "*",
    filters: ["#"],
    durable: false,
    window: 100,
    async deliver(message) {
      heard.push(message);
      return { is: "delivered" };
    },
  });
  let nextPort = 50_000;
  const prng = createPrng(options.seed ?? 7);
  const peer = createToyPeer(network.open(SENSOR));
  options.prepare?.(peer);
  const client = createClient(options.client, {
    async open(at) {
      nextPort += 1;
      return network.open({ host: "10.0.0.200", port: at ?? nextPort });
    },
    random: () => prng.next(),
    ...(options.resolve === undefined ? {} : { resolve: options.resolve }),
  });
  await client.attach(port);
  if (options.isStarted !== false) await client.start();
  await clock.advance(0);
  return {
    ...{ clock, network, hub, peer, client, heard, recorded },
    open: (host, at = 5683) => network.open({ host, port: at }),
    settle: () => clock.advance(1),
    latest: (channel) => port.latest(channel, "*"),
    port: () => port,
    async [Symbol.asyncDispose]() {
      const stopping = client.stop();
      await clock.advance(7_000);
      await stopping;
      await listener[Symbol.asyncDispose]();
      await hub[Symbol.asyncDispose]();
    },
  };
}

export const text = (message: Message | undefined): string | undefined =>
  message === undefined ? undefined : Buffer.from(message.payload).toString();
