import {
  type Attachment,
  type Clock,
  createHub,
  createMemoryStore,
  type Hub,
  type LedgerRow,
  type Port,
  type Store,
} from "@nomq/core";
import {
  createFakeClock,
  createFaultyStore,
  createToyPeer,
  type FakeClock,
  type FaultyStore,
  settle,
  type ToyCall,
  type ToyPeer,
  type ToyPeerOptions,
} from "@nomq/core/testing";
import { createCallWatch } from "./calls.ts";
import { createModel, type Model, type Publish } from "./records.ts";

/** A toy peer and what the world knows of its connection. */
export interface WorldPeer {
  readonly options: ToyPeerOptions & { readonly durable: boolean; readonly window: number };
  readonly toy: ToyPeer;
  state: "away" | "joining" | "here" | "leaving";
  attachment: Attachment | undefined;
  paused: boolean;
  readonly open: Set<ToyCall>;
  /** Channels on which this process has sent it state again. */
  readonly corrected: Set<string>;
  /** By channel: the newest live message without retain since it attached; -1 once it asked for the channel again. */
  readonly live: Map<string, number>;
  /** Channels whose value at the peer nobody can know: it refused a change, or its own was lost in a crash. */
  readonly unsure: Set<string>;
  /** Payloads handed to it lately, for echoes: channel, payload, monotonic time. */
  readonly sent: { readonly channel: string; readonly payload: string; readonly at: number }[];
}

/** One process of the gateway. */
export interface Run {
  readonly number: number;
  readonly hub: Hub;
  readonly port: Port;
  /** After a kill its timers are gone, and what it answers reaches nobody. */
  kill(): void;
  readonly alive: boolean;
}

export interface World {
  settle(turns?: number): Promise<void>;
  readonly clock: FakeClock;
  store: FaultyStore;
  run: Run;
  readonly model: Model;
  readonly peers: readonly WorldPeer[];
  readonly publishes: Publish[];
  /** Publishes by the id in their receipt; the first of a transfer. */
  readonly byId: Map<string, Publish>;
  /** Payloads sent more than once, so that they do not tell one publish from another. */
  readonly repeated: Set<string>;
  /** Rules broken, in words; a run ends at the first step that leaves any. */
  readonly problems: string[];
  /** Sum of the small steps of the wall clock so far, in either direction. */
  smallSteps: number;
  /** The wall clock has stepped far, so times read back from the store tell nothing. */
  bigSteps: boolean;
}

/** Rooms differ so that every rule has a peer that feels it. */
const ROSTER: readonly (ToyPeerOptions & { durable: boolean; window: number })[] = [
  { name: "toy:plain", durable: true, window: 1, retained: "deliver" },
  { name: "toy:v1", durable: true, window: 1, retained: "deliver", continues: false },
  { name: "toy:wide", durable: true, window: 4, ordered: true, retained: "deliver" },
  { name: "toy:strict", durable: true, window: 2, retained: "deliver", outbox: limits("refuse", 6) },
  { name: "toy:small", durable: true, window: 2, retained: "deliver", outbox: limits("drop-oldest", 4) },
  { name: "toy:brief", durable: false, window: 3, retained: "deliver" },
  { name: "toy:newest", durable: false, window: 2, echoes: false, outbox: limits("drop-newest", 3) },
];

function limits(whenFull: "refuse" | "drop-oldest" | "drop-newest", messages: number) {
  return { whenFull, messages, bytes: 1_000_000 };
}

/** What a world stands on: its clock and a store that, opened again, has what a killed process left. */
export interface Ground extends AsyncDisposable {
  readonly clock: FakeClock;
  readonly store: Store;
  /** Lets all that is due happen. */
  settle(turns?: number): Promise<void>;
}

/** The clock stands still, the store is in memory. */
export const memoryGround = (): Promise<Ground> =>
  Promise.resolve({
    clock: createFakeClock(),
    store: createMemoryStore(),
    settle,
    [Symbol.asyncDispose]: () => Promise.resolve(),
  });

/** Makes the world before the first step: a hub without attachments on an empty store. */
export async function createWorld(ground: Ground): Promise<World> {
  const { clock } = ground;
  const store = createFaultyStore(ground.store);
  const problems: string[] = [];
  const world: World = {
    settle: (turns) => ground.settle(turns),
    clock,
    store,
    run: await startRun(clock, store, 1),
    model: createModel(),
    peers: ROSTER.map((options) => makePeer(options, () => world)),
    publishes: [],
    byId: new Map(),
    repeated: new Set(),
    problems,
    smallSteps: 0,
    bigSteps: false,
  };
  return world;
}

/** Starts a gateway process on the store. */
export async function startRun(clock: FakeClock, store: FaultyStore, number: number): Promise<Run> {
  const { own, kill } = mortalClock(clock);
  const hub = createHub({ store, clock: own });
  await hub.start();
  let alive = true;
  return {
    number,
    hub,
    port: hub.port("toy"),
    kill() {
      alive = false;
      kill();
    },
    get alive() {
      return alive;
    },
  };
}

function makePeer(options: WorldPeer["options"], world: () => World): WorldPeer {
  const watch = createCallWatch(options, world);
  const toy = createToyPeer({ ...options, ...watch.hooks(() => peer) });
  const peer: WorldPeer = {
    options,
    toy,
    state: "away",
    attachment: undefined,
    paused: false,
    open: new Set(),
    corrected: new Set(),
    live: new Map(),
    unsure: new Set(),
    sent: [],
  };
  return peer;
}

/** A clock whose timers die with their process. */
function mortalClock(clock: Clock): { own: Clock; kill(): void } {
  let alive = true;
  const own: Clock = {
    now: () => clock.now(),
    monotonic: () => clock.monotonic(),
    after: (ms, run) => (alive ? clock.after(ms, () => void (alive && run())) : () => undefined),
  };
  return {
    own,
    kill() {
      alive = false;
    },
  };
}

/** All that has ended. */
export const endedOf = (row: LedgerRow): number =>
  row.delivered +
  row.expired +
  row.refused +
  row.uncertain +
  Object.values(row.dropped).reduce((sum, count) => sum + count, 0);
