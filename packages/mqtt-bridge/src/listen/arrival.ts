import type { Duplex } from "node:stream";
import type { ListenerSettings } from "../options.ts";

/** A connection as a listener hands it over. */
export interface Arrival {
  /** Carries MQTT's bytes both ways. */
  readonly socket: Duplex;
  /** The other side's IP address. */
  readonly address: string;
  readonly listener: ListenerSettings;
}

/** What a listener calls. */
export interface ListenerEvents {
  connection(arrival: Arrival): void;
  /** A connection was refused before any MQTT packet: a foreign origin, a wrong host. */
  refused(reason: string, address: string): void;
}
