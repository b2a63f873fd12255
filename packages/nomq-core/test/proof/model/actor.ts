import type {
  Clock,
  IncomingMessage,
  NomqNodeOptions,
  PublishOutcome,
  Qos,
  StateChange,
  Transport,
  Verdict,
} from "../../../src/index.ts";
import type { FakeClock } from "../../../src/testing/index.ts";
import { createRoom, type Room, read, text, type World } from "../../node/node-room.ts";
import { vectorKey } from "../../vectors.ts";
import { pause, seededBytes } from "../faults.ts";

export type Name = "one" | "two";

export const AT = { one: { host: "10.1.0.1", port: 8888 }, two: { host: "10.1.0.2", port: 8888 } } as const;
export const MOST_HEARD = 5000;
export const CHANNELS = ["a/b", "c"] as const;

/** What a test publishes. */
export interface Order {
  readonly id: string;
  readonly channel: string;
  readonly qos: Qos;
  readonly retain: boolean;
  readonly ttl: number | undefined;
}

/** An order under way: its publisher goes on with it over restarts until it has an end. */
export interface Job extends Order {
  /** At QoS 0 to one not heard since our clock was set, a copy goes out for each clock it may have. */
  readonly mayDouble: boolean;
  readonly outcomes: PublishOutcome[];
  readonly ended: () => boolean;
}

/** One node over all its lives, and the application behind it, whose store survives. */
export interface Actor {
  readonly name: Name;
  readonly other: Name;
  readonly jobs: Job[];
  /** Messages taken, once for each transfer at QoS 1 and 2, as an application with a store counts them. */
  readonly taken: { readonly id: string; readonly message: IncomingMessage }[];
  /** Transfers that one life of the node handed over again after they had been taken. */
  readonly handedTwice: string[];
  /** The first datagrams that have arrived, for replays. */
  readonly heard: readonly Uint8Array[];
  readonly room: () => Room;
  start(): Promise<void>;
  stop(): Promise<void>;
  step(ms: number): void;
  subscribe(channel: string, wanted: boolean): Promise<void>;
  publish(order: Order): void;
}

/** Makes one of the two; `start` gives it its first life. */
export function createActor(world: World, name: Name, seed: number): Actor {
  const other = name === "one" ? "two" : "one";
  const clock = steppingClock(world.clock);
  const jobs: Job[] = [];
  const taken: Actor["taken"] = [];
  const once = new Set<string>();
  const handedTwice: string[] = [];
  const heard: Uint8Array[] = [];
  const wanted = new Set<string>();
  const store = new Map<string, StateChange>();
  let lives = 0;
  let hasStepped = false;
  let running: Room | undefined;

  const keep = (changes: readonly StateChange[]): void => {
    for (const change of changes) store.set(Buffer.from(change.key).toString("latin1"), change);
  };
  const takerOf =
    (takenInThisLife: Set<string>) =>
    async (message: IncomingMessage): Promise<Verdict> => {
      keep(message.state);
      const id = read(message.payload);
      if (message.qos > 0 && takenInThisLife.has(message.transfer)) handedTwice.push(id);
      takenInThisLife.add(message.transfer);
      if (message.qos > 0 && once.has(message.transfer)) return { is: "accepted" };
      once.add(message.transfer);
      taken.push({ id, message });
      return { is: "accepted" };
    };
  const optionsOfLife = (): NomqNodeOptions => ({
    clock,
    keys: [vectorKey()],
    channels: CHANNELS,
    transport: hearing(world.network.open(AT[name]), heard),
    random: seededBytes(seed * 1000 + lives * 2 + (name === "one" ? 0 : 1)),
    peers: [{ name: other, address: AT[other], kind: "node" }],
  });
  return {
    name,
    other,
    jobs,
    taken,
    handedTwice,
    heard,
    room: () => {
      if (running === undefined) throw new Error("not running");
      return running;
    },
    async start() {
      lives += 1;
      const receiver = {
        message: takerOf(new Set()),
        remember: async (changes: readonly StateChange[]) => keep(changes),
      };
      running = createRoom(optionsOfLife(), receiver);
      await running.node.restore(recordsOf(store));
      await running.node.start();
      for (const channel of wanted) await running.node.subscribe(channel, other);
    },
    async stop() {
      await running?.node.stop();
    },
    step(ms) {
      hasStepped = true;
      clock.step(ms);
    },
    async subscribe(channel, isWanted) {
      if (isWanted) wanted.add(channel);
      else wanted.delete(channel);
      await (isWanted ? running?.node.subscribe(channel, other) : running?.node.unsubscribe(channel, other));
    },
    publish(order) {
      const mayDouble = order.qos === 0 && hasStepped;
      const job = {
        ...order,
        mayDouble,
        outcomes: [] as PublishOutcome[],
        done: false,
        ended: () => job.done,
      };
      jobs.push(job);
      void see(job, { clock: world.clock, to: other, node: () => running?.node }).then(() => {
        job.done = true;
      });
    },
  };
}

/** A transport that keeps what arrives. */
function hearing(transport: Transport, heard: Uint8Array[]): Transport {
  return {
    ...transport,
    onDatagram: (receive) =>
      transport.onDatagram((datagram, from) => {
        if (heard.length < MOST_HEARD) heard.push(new Uint8Array(datagram));
        receive(datagram, from);
      }),
  };
}

/** A wall clock of its own that can be set, on the world's time. */
function steppingClock(world: FakeClock): Clock & { step(ms: number): void } {
  let skew = 0;
  return {
    now: () => world.now() + skew,
    monotonic: () => world.monotonic(),
    after: (ms, run) => world.after(ms, run),
    step: (ms) => {
      skew += ms;
    },
  };
}

async function* recordsOf(
  store: ReadonlyMap<string, StateChange>,
): AsyncGenerator<readonly [Uint8Array, Uint8Array]> {
  for (const { key, value } of store.values()) if (value !== undefined) yield [key, value];
}

interface Way {
  readonly clock: FakeClock;
  readonly to: Name;
  readonly node: () => Room["node"] | undefined;
}

/** With a time to live: one try. Without: until it is delivered, QoS 2 under its first packet id. */
async function see(job: Job, { clock, to, node }: Way): Promise<void> {
  const { channel, qos, retain, ttl, outcomes } = job;
  for (;;) {
    const before = qos === 2 ? outcomes.findLast(({ sent }) => sent) : undefined;
    const goesOn = before === undefined ? {} : { packetId: before.packetId, sessionId: before.sessionId };
    const lasts = ttl === undefined ? {} : { ttl };
    const outcome = await node()?.publish(channel, text(job.id), { to, qos, retain, ...lasts, ...goesOn });
    if (outcome !== undefined) outcomes.push(outcome);
    const isOpen = outcome === undefined || outcome.is === "unanswered" || outcome.is === "refused";
    if (qos === 0 || ttl !== undefined || !isOpen) return;
    await pause(clock, 5000);
  }
}
