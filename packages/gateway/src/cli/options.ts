import type { AckPoint } from "@nomq/core";
import type { PlaceOptions } from "./place.ts";

/** Options that lead straight to a NoMQ peer. */
export interface PeerOptions {
  /** `udp://HOST:PORT`. */
  readonly nomq?: string;
  readonly key?: string;
  readonly kind: "device" | "node";
}

/** Options of `nomq pub`. */
export interface PubOptions extends PlaceOptions, PeerOptions {
  readonly qos: number;
  readonly retain?: boolean;
  /** Milliseconds. */
  readonly ttl?: number;
  readonly priority?: number;
  readonly contentType?: string;
  readonly until?: AckPoint;
  readonly receipt?: boolean;
  /** Milliseconds that `--receipt` waits. */
  readonly timeout?: number;
  readonly json?: boolean;
}

/** Options of `nomq unknown`. */
export interface UnknownOptions extends PlaceOptions {
  readonly json?: boolean;
}

/** Options of `nomq name`. */
export interface NameOptions extends PlaceOptions {
  readonly forget?: string;
  readonly list?: boolean;
  readonly json?: boolean;
}

/** Options of `nomq sub`. */
export interface SubOptions extends PlaceOptions, PeerOptions {
  readonly count?: number;
  readonly retained: boolean;
  readonly json?: boolean;
}
