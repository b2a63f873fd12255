import type { Duplex } from "node:stream";
import type { AedesClient } from "../aedes/aedes-internals.ts";
import type { Front } from "../front/front.ts";
import type { Held } from "../front/subscriptions.ts";
import type { Interest } from "./interest.ts";

/** What the broker knows of its clients besides aedes and their sessions. */
export interface ClientDirectory {
  add(front: Front): void;
  frontOf(client: AedesClient): Front | undefined;
  /** aedes' client behind a front, once its CONNECT has been seen. */
  clientOf(stream: Duplex): AedesClient | undefined;
  identify(client: AedesClient): void;
  /** What the client behind a front holds. */
  filtersOf(stream: Duplex): Held;
  /** Whether it may have one filter more besides what it has asked for. */
  hasRoomFor(stream: Duplex, filter: string, asked: Held): boolean;
  /** Clients whose stored messages are still going out. */
  readonly draining: WeakSet<AedesClient>;
  /** Clients that resume a session which is to end with this connection. */
  readonly lastConnection: WeakSet<AedesClient>;
  /** Subscriptions that were refused, as aedes' own objects. */
  readonly refusedSubscriptions: WeakSet<object>;
  /** The client that is subscribing in this very call, to whom retained messages go. */
  subscribing: AedesClient | undefined;
  interest: Interest | undefined;
}

/** Makes an empty directory. It holds on to nothing that aedes has let go. */
export function createClientDirectory(): ClientDirectory {
  const fronts = new WeakMap<Duplex, Front>();
  const clients = new WeakMap<Duplex, AedesClient>();
  const directory: ClientDirectory = {
    add: (front) => void fronts.set(front.stream, front),
    frontOf: (client) => fronts.get(client.conn),
    clientOf: (stream) => clients.get(stream),
    identify: (client) => void clients.set(client.conn, client),
    filtersOf(stream) {
      const client = clients.get(stream);
      return (client && directory.interest?.heldBy(client.id)) ?? { filters: 0, levels: 0 };
    },
    hasRoomFor(stream, filter, asked) {
      const client = clients.get(stream);
      return client === undefined || directory.interest?.hasRoomFor(client.id, filter, asked) !== false;
    },
    draining: new WeakSet(),
    lastConnection: new WeakSet(),
    refusedSubscriptions: new WeakSet(),
    subscribing: undefined,
    interest: undefined,
  };
  return directory;
}
