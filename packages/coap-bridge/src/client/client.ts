import type { Port, Transport } from "@nomq/core";
import { type ClientOptions, clientSettings } from "./client-options.ts";
import type { ClientCounts, SensorState } from "./sensor-state.ts";

/** What tests hand in instead of the network. */
export interface ClientParts {
  /** Opens the client's socket, at this port where it is free. Default UDP, dual-stack. */
  readonly open?: (port: number | undefined) => Promise<Transport>;
  /** Default `Math.random`. */
  readonly random?: () => number;
  /** IP addresses of a name. Default: the system's resolver. */
  readonly resolve?: (name: string) => Promise<readonly string[]>;
}

/** The bridge as a client: sensors that are observed or polled, actuators that are written to. */
export interface CoapClient {
  /** Claims the attachments `coap:send:NAME` and reads what was remembered; opens no socket. */
  attach(port: Port): Promise<void>;
  /** Opens the socket, begins with all sensors, lets actuators be written to. */
  start(): Promise<void>;
  /** Ends observations, reads and writes. Idempotent; works before and after a failed start. */
  stop(): Promise<void>;
  sensors(): readonly SensorState[];
  counts(): ClientCounts;
}

/** Makes the client; opens nothing. Throws `config-invalid` or `not-available-yet`. */
export function createClient(options: ClientOptions, _parts: ClientParts = {}): CoapClient {
  clientSettings(options);
  return {
    attach: () => Promise.resolve(),
    start: () => Promise.resolve(),
    stop: () => Promise.resolve(),
    sensors: () => [],
    counts: () => ({
      sensors: { waiting: 0, fresh: 0, stale: 0, gone: 0 },
      values: 0,
      requests: 0,
      refused: {},
      writes: {},
    }),
  };
}
