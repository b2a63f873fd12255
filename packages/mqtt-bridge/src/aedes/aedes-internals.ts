import type { Duplex } from "node:stream";
import type { Aedes } from "aedes";
import type { IPublishPacket } from "mqtt-packet";
import type { Handler } from "./topic-emitter.ts";

/** A subscription as an aedes client holds it. */
export interface ClientSubscription {
  readonly qos: 0 | 1 | 2;
  readonly func: Handler;
  /** Subscription identifier. */
  readonly si?: number;
}

/** What of an aedes client is used besides its published interface (aedes is pinned to one version). */
export interface AedesClient {
  readonly id: string;
  readonly conn: Duplex;
  readonly closed: boolean;
  clean: boolean;
  subscriptions: Record<string, ClientSubscription>;
  duplicates: object;
  sessionExpiryInterval: number;
  _connectSessionExpiryInterval: number;
  readonly _parser: { parse(bytes: Buffer): number };
  emit(event: "error", error: Error): boolean;
}

/** What of an aedes broker is used besides its published interface. */
export interface AedesBroker {
  clients: object;
  brokers: object;
  maxTopicLevels: number;
  publishWill(client: AedesClient, will: IPublishPacket): void;
  scheduleWill(client: AedesClient, will: IPublishPacket, seconds: number): void;
  scheduleSessionExpiry(client: AedesClient): void;
  /** Client ids whose session a new connection is taking over. */
  readonly _takingOver: ReadonlySet<string>;
}

/** The parts of the broker that its types leave out. */
export function internalsOf(aedes: Aedes): AedesBroker {
  // The types mark these as read-only or leave them out; the fields are plain properties.
  return aedes as unknown as AedesBroker;
}

/** The parts of a client that its types leave out. */
export function clientInternals(client: object): AedesClient {
  // As above.
  return client as AedesClient;
}
