import { sealV1, type V1Frame, type V1Keys } from "./v1-wire.ts";

/** Where a QoS 1 or 2 exchange stands. */
export type V1Pending = "NONE" | "PUBLISH_SENT" | "PUBREL_SENT" | "PUBREC_SENT";

/** Packet types as numbers on the wire. */
export const TYPE = {
  publish: 1,
  subscribe: 2,
  ack: 3,
  unsubscribe: 4,
  heartbeat: 5,
  pubrec: 6,
  pubrel: 7,
  pubcomp: 8,
} as const;

/** Seconds to live of everything but a PUBLISH that says otherwise. */
export const DEFAULT_TTL = 3_600;

/** Exchanges of both directions share one table of this size. */
export const MAX_PENDING = 50;

/** An exchange of the pending table; `expires` in seconds of the device. */
interface Exchange {
  state: V1Pending;
  readonly expires: number;
}

/** All that a device remembers. */
export interface State {
  readonly keys: V1Keys;
  readonly random: (bytes: number) => Uint8Array;
  /** Name by channel id in hex. */
  readonly channels: Map<string, string>;
  readonly pending: Map<number, Exchange>;
  /** Second of arrival by nonce. */
  readonly nonces: Map<number, number>;
  readonly retained: Map<string, { datagram: Uint8Array; at: number }[]>;
  session: { id: number; since: number };
}

/** A random unsigned 32-bit integer. */
export function u32(random: (bytes: number) => Uint8Array): number {
  return Buffer.from(random(4)).readUInt32BE(0);
}

/** The fields of a packet that its type decides. */
export type Outgoing = Pick<V1Frame, "type" | "flags" | "packetId" | "channelId" | "plaintext"> & {
  readonly ttl?: number;
};

/** Seals a packet of this device, now. */
export function seal(state: State, frame: Outgoing, now: number): Uint8Array {
  const whole = {
    ttl: DEFAULT_TTL,
    ...frame,
    sessionId: state.session.id,
    iv: state.random(16),
    timestamp: now,
  };
  return sealV1(whole, state.keys);
}
