import {
  createHub,
  createNomqBridge,
  type Hub,
  type HubOptions,
  type Message,
  type NomqBridge,
  type NomqBridgeOptions,
  type NomqDeviceOptions,
  type Outcome,
  type Receipt,
  type Transport,
} from "../../src/index.ts";
import { settle, type V1Driver, type V1DriverOptions } from "../../src/testing/index.ts";
import { createWorld, read, text, type World } from "../node/node-room.ts";
import { vectorKey } from "../vectors.ts";

export const GATEWAY = { host: "10.0.0.200", port: 8888 };

/** A NoMQ bridge on a hub, a second attachment that takes everything, and a world of devices. */
export interface BridgeRoom {
  readonly world: World;
  readonly hub: Hub;
  readonly bridge: NomqBridge;
  /** What the other attachment got. */
  readonly seen: Message[];
  /** What the other attachment answers. */
  outcome: (message: Message) => Promise<Outcome>;
  device(options?: Partial<V1DriverOptions>): V1Driver;
  settle(): Promise<void>;
  stop(): Promise<void>;
}

/** An address for a device that the bridge's options name beforehand. */
export function deviceAt(port: number): { address: string; at: { host: string; port: number } } {
  return { address: `10.0.0.77:${port}`, at: { host: "10.0.0.77", port } };
}

export interface BridgeRoomOptions {
  readonly world?: World;
  readonly hub?: Partial<HubOptions>;
  readonly bridge?: Partial<Extract<NomqBridgeOptions, { listen: unknown }>>;
  readonly devices?: readonly NomqDeviceOptions[];
  /** Filters of the other attachment. Default `#`. */
  readonly filters?: readonly string[];
}

/** Makes and starts one. */
export async function openBridge(options: BridgeRoomOptions = {}): Promise<BridgeRoom> {
  const world = options.world ?? createWorld();
  const hub = createHub({ clock: world.clock, ...options.hub });
  const bridge = createNomqBridge({
    listen: ["udp://10.0.0.200:8888"],
    keys: [vectorKey()],
    channels: ["a/b"],
    devices: options.devices ?? [],
    openTransport: async (): Promise<Transport> => world.network.open(GATEWAY),
    ...options.bridge,
  });
  hub.add(bridge);
  const room: BridgeRoom = {
    world,
    hub,
    bridge,
    seen: [],
    outcome: async () => ({ is: "delivered" }),
    device: (over) => world.device(over),
    settle: () => settle(20),
    async stop() {
      let ended = false;
      const ending = hub[Symbol.asyncDispose]().then(() => {
        ended = true;
      });
      // Calls that a peer leaves open have seconds to end.
      while (!ended) await world.clock.advance(500);
      await ending;
      await world.stop();
    },
  };
  await hub.start();
  await hub.port("other").attach({
    name: "other",
    as: "*",
    filters: options.filters ?? ["#"],
    durable: true,
    window: 16,
    deliver: (message) => {
      room.seen.push(message);
      return room.outcome(message);
    },
  });
  return room;
}

export const texts = (messages: readonly Message[]): string[] => messages.map(({ payload }) => read(payload));

/** A device whose address the bridge's options name. */
export const pump: ReturnType<typeof deviceAt> = deviceAt(9001);
export const pumpDevice: NomqDeviceOptions = { name: "pump-7", address: pump.address, subscribe: ["a/b"] };

/** Publishes from the other side of the hub. */
export async function publish(room: BridgeRoom, over: Record<string, unknown> = {}): Promise<Receipt> {
  return room.hub.port("other").publish({ channel: "a/b", payload: text("go"), qos: 1, ...over }, "*");
}

/** What a receipt says of one attachment. */
export async function outcomeAt(room: BridgeRoom, id: string, attachment = "nomq:pump-7"): Promise<unknown> {
  const receipt = await room.hub.port("other").receipt(id);
  return receipt?.outcomes.find((outcome) => outcome.attachment === attachment);
}
