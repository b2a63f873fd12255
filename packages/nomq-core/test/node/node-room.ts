import {
  createNomqNode,
  type IncomingMessage,
  type NomqNode,
  type NomqNodeOptions,
  type NomqReceiver,
  type StateChange,
  type Verdict,
} from "../../src/index.ts";
import {
  createFakeClock,
  createMemoryNetwork,
  type FakeClock,
  type MemoryNetwork,
  type MemoryNetworkConditions,
  runV1Device,
  type V1Driver,
  type V1DriverOptions,
} from "../../src/testing/index.ts";
import { bytes, vectorKey, vectors } from "../vectors.ts";

/** A node, what it was handed, and what it wanted remembered. */
export interface Room {
  readonly node: NomqNode;
  readonly taken: IncomingMessage[];
  readonly texts: () => string[];
  readonly remembered: Map<string, StateChange>;
  /** What the application answers. */
  verdict: () => Promise<Verdict>;
}

/** A network in memory on a clock of its own. */
export interface World {
  readonly clock: FakeClock;
  readonly network: MemoryNetwork;
  node(options?: Partial<NomqNodeOptions>, receiver?: Partial<NomqReceiver> | "iterated"): Promise<Room>;
  device(options?: Partial<V1DriverOptions>): V1Driver;
  stop(): Promise<void>;
}

export const text = (value: string): Uint8Array => new Uint8Array(Buffer.from(value));
export const read = (payload: Uint8Array): string => Buffer.from(payload).toString("utf8");

/** Makes a world at the vectors' time. */
export function createWorld({
  start = vectors.time * 1000,
  rest,
  ...conditions
}: MemoryNetworkConditions & { seed?: number; start?: number; rest?: () => Promise<void> } = {}): World {
  const clock = createFakeClock(start, rest);
  const network = createMemoryNetwork({ clock, ...conditions });
  const closing: AsyncDisposable[] = [];
  return {
    clock,
    network,
    async node(options = {}, receiver = {}) {
      const room = createRoom(
        { clock, keys: [vectorKey()], transport: network.open(), ...options },
        receiver,
      );
      closing.push(room.node);
      await room.node.start();
      return room;
    },
    device(options = {}) {
      const keys = { encryption: bytes(vectors.keys.encryption_key), mac: bytes(vectors.keys.hmac_key) };
      const device = runV1Device({
        ...keys,
        clock,
        transport: network.open(),
        channels: ["a/b"],
        ...options,
      });
      closing.push(device);
      return device;
    },
    async stop() {
      for (const one of closing) await one[Symbol.asyncDispose]();
    },
  };
}

/** A node that remembers, not yet started; `iterated` leaves its messages to `node.messages()`. */
export function createRoom(
  options: NomqNodeOptions,
  receiver: Partial<NomqReceiver> | "iterated" = {},
): Room {
  const node = createNomqNode({ channels: ["a/b"], ...options });
  const taken: IncomingMessage[] = [];
  const remembered = new Map<string, StateChange>();
  const keep = (changes: readonly StateChange[]): void => {
    for (const change of changes) {
      const key = read(change.key);
      if (change.value === undefined) remembered.delete(key);
      else remembered.set(key, change);
    }
  };
  const room: Room = {
    node,
    taken,
    texts: () => taken.map((message) => read(message.payload)),
    remembered,
    verdict: async () => ({ is: "accepted" }),
  };
  const remember = async (changes: readonly StateChange[]): Promise<void> => keep(changes);
  if (receiver === "iterated") {
    node.receive({ remember });
    return room;
  }
  node.receive({
    async message(incoming) {
      taken.push(incoming);
      const verdict = await room.verdict();
      if (verdict.is === "accepted") keep(incoming.state);
      return verdict;
    },
    remember,
    ...receiver,
  });
  return room;
}

/** What a node remembered, as its next life reads it. */
export async function* stateOf(room: Room): AsyncGenerator<readonly [Uint8Array, Uint8Array]> {
  for (const { key, value } of room.remembered.values()) if (value !== undefined) yield [key, value];
}

/** Runs `clock` in steps until `done` or `ms` have passed. */
export async function until(clock: FakeClock, done: () => boolean, ms = 60_000): Promise<void> {
  for (let passed = 0; passed < ms && !done(); passed += 50) await clock.advance(50);
}
