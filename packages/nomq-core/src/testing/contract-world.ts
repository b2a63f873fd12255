import { AssertionError } from "node:assert";
import type { Hub, Port, Receipt } from "../bridge.ts";
import { createHub } from "../hub/hub.ts";
import { createMemoryStore } from "../hub/memory-store.ts";
import type { Draft } from "../message.ts";
import type {
  BridgeContract,
  BridgeHarness,
  ContractPublisher,
  ContractSubscriber,
} from "./bridge-harness.ts";
import { createFaultyStore, type FaultyStore } from "./faulty-store.ts";
import { createToyPeer, type ToyPeer } from "./toy-peer.ts";

/** Enough turns for a busy machine; a case that holds needs a handful. */
const MOST_TURNS = 2_000;
/** How long a case watches that something does not happen. */
const WATCHED_TURNS = 30;

/** One bridge attached to a hub of its own, and a recorder that sees every message the hub routes. */
export interface ContractWorld extends AsyncDisposable {
  readonly harness: BridgeHarness;
  readonly hub: Hub;
  readonly store: FaultyStore;
  /** An embedded user's port. */
  readonly port: Port;
  /** Attached to the hub as `contract:recorder` with the filter `#`. */
  readonly recorder: ToyPeer;
  /** Peers on the protocol's side; they leave with the world at the latest. */
  publisher(): Promise<ContractPublisher>;
  subscriber(channel: string): Promise<ContractSubscriber>;
  both(channel: string): Promise<ContractPublisher & ContractSubscriber>;
  /** Disposes of a peer, time passing meanwhile. */
  leave(peer: AsyncDisposable): Promise<void>;
  /** Publishes from the hub's side; resolves at `stored`. */
  publish(draft: Omit<Draft, "payload"> & { readonly text: string }): Promise<Receipt>;
  /** Lets time pass until it holds; throws with `what` when it never does. */
  until(holds: () => boolean | Promise<boolean>, what: string): Promise<void>;
  /** Lets some time pass and throws with `what` when it stops holding. */
  stays(holds: () => boolean, what: string): Promise<void>;
  /** Waits for a promise while time passes. */
  settled<T>(work: Promise<T>, what: string): Promise<T>;
  /** The hub stops, clock and sockets going on meanwhile. */
  stop(): Promise<void>;
}

/** Text of a payload. */
export const textOf = (payload: Uint8Array): string => new TextDecoder().decode(payload);

/** Throws an `AssertionError` saying `what` unless it holds. */
export function check(holds: boolean, what: string): asserts holds {
  if (!holds) throw new AssertionError({ message: what });
}

/** Makes a harness's world: a started hub with the bridge in it. */
export async function startWorld(contract: BridgeContract): Promise<ContractWorld> {
  const world = prepareWorld(await contract.make());
  await world.settled(world.hub.start(), "the hub starts");
  const peer = world.recorder.connect();
  await world.port.attach(peer);
  return world;
}

/** As {@link startWorld}, with the hub not yet started and the recorder not attached. */
export function prepareWorld(harness: BridgeHarness): ContractWorld {
  const store = createFaultyStore(createMemoryStore());
  const hub = createHub({ store, clock: harness.clock });
  hub.add(harness.bridge);
  const recorder = createToyPeer({ name: "contract:recorder", filters: ["#"], window: 8 });
  const port = hub.port("contract");
  const { mostTurns = MOST_TURNS } = harness;

  const until: ContractWorld["until"] = async (holds, what) => {
    for (let turn = 0; turn < mostTurns; turn += 1) {
      if (await holds()) return;
      await harness.turn();
    }
    check(false, `never: ${what}`);
  };
  const settled = async <T>(work: Promise<T>, what: string): Promise<T> => {
    let done = false;
    const mark = (): void => {
      done = true;
    };
    work.then(mark, mark);
    await until(() => done, what);
    return work;
  };
  const ended = async (work: PromiseLike<void>): Promise<void> => {
    let done = false;
    const watched = Promise.resolve(work).finally(() => {
      done = true;
    });
    // Grace periods of the hub and of the bridge run on the harness's clock.
    for (let turn = 0; turn < mostTurns && !done; turn += 1) {
      await harness.turn();
      if (turn % 20 === 19) await harness.clock.advance(1_000);
    }
    check(done, "never: the hub stops");
    await watched;
  };
  const stop = (): Promise<void> => ended(hub[Symbol.asyncDispose]());
  const peers = new Set<AsyncDisposable>();
  const joined = async <T extends AsyncDisposable>(work: Promise<T>): Promise<T> => {
    const peer = await settled(work, "a peer joins");
    peers.add(peer);
    return peer;
  };
  const leave = (peer: AsyncDisposable): Promise<void> => {
    peers.delete(peer);
    return ended(Promise.resolve(peer[Symbol.asyncDispose]()));
  };

  return {
    harness,
    hub,
    store,
    port,
    recorder,
    publish: ({ text, ...draft }) =>
      port.publish({ ...draft, payload: new TextEncoder().encode(text) }, "anonymous"),
    until,
    async stays(holds, what) {
      for (let turn = 0; turn < WATCHED_TURNS; turn += 1) {
        check(holds(), what);
        await harness.turn();
      }
      check(holds(), what);
    },
    publisher: () => joined(harness.publisher()),
    subscriber: (channel) => joined(harness.subscriber(channel)),
    both: (channel) => joined(harness.both(channel)),
    leave,
    settled,
    stop,
    async [Symbol.asyncDispose]() {
      store.heal();
      for (const peer of [...peers]) await leave(peer);
      await stop();
      await ended(harness[Symbol.asyncDispose]());
    },
  };
}
