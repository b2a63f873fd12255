/** The eight packet types of NoMQ v1 and their number on the wire. */
export const PACKET_TYPES = {
  PUBLISH: 0x01,
  SUBSCRIBE: 0x02,
  ACK: 0x03,
  UNSUBSCRIBE: 0x04,
  HEARTBEAT: 0x05,
  PUBREC: 0x06,
  PUBREL: 0x07,
  PUBCOMP: 0x08,
} as const;

const TYPE_NAMES: readonly (keyof typeof PACKET_TYPES | undefined)[] = [
  undefined,
  "PUBLISH",
  "SUBSCRIBE",
  "ACK",
  "UNSUBSCRIBE",
  "HEARTBEAT",
  "PUBREC",
  "PUBREL",
  "PUBCOMP",
];

/** The name of a type number; undefined for every number but 1 to 8. */
export function typeName(number: number | undefined): keyof typeof PACKET_TYPES | undefined {
  return number === undefined ? undefined : TYPE_NAMES[number];
}

/**
 * How a packet is sealed. `micropython` is what the original device code does (suffix-keyed SHA-256, the IV twice);
 * `standard` is what its README describes (HMAC-SHA256, the IV once). Both carry the same version byte.
 */
export type Dialect = "micropython" | "standard";

/** One group key of NoMQ v1. */
export interface Key {
  readonly id: string;
  /** AES-256 key, 32 bytes. */
  readonly encryption: Uint8Array;
  /** MAC key, 32 bytes. */
  readonly mac: Uint8Array;
  /** Which dialects it accepts; `auto` tells them apart by structure and refuses unequal IVs. */
  readonly dialect: Dialect | "auto";
}

/** The header fields that every packet has; integers are unsigned. */
export interface PacketHeader {
  /** Bits as on the wire; `flags.ts` names them. */
  readonly flags: number;
  readonly packetId: number;
  readonly sessionId: number;
  /** Seconds, 0 to 65,535. */
  readonly ttl: number;
  /** Seconds of the sender's clock, whatever its epoch. */
  readonly timestamp: number;
  /** 16 bytes: start of SHA-256 of the channel name; zero in heartbeats without a channel. */
  readonly channelId: Uint8Array;
}

/** A decoded packet. */
export type Packet = PacketHeader &
  (
    | {
        readonly type: "PUBLISH";
        readonly nonce: number;
        /** The sender's second timestamp, inside the ciphertext; 64 bits wide, kept as read, checked by no one. */
        readonly innerTimestamp: bigint;
        readonly message: Uint8Array;
        /** Where the message starts in the plaintext: 16 as devices send it, 20 as devices require it. */
        readonly layout: 16 | 20;
      }
    | { readonly type: "SUBSCRIBE" | "UNSUBSCRIBE"; readonly channel: string }
    | {
        readonly type: "ACK" | "PUBREC" | "PUBREL" | "PUBCOMP";
        /** The id inside the ciphertext. Receivers go by the header's. */
        readonly acknowledged: number;
      }
    | { readonly type: "HEARTBEAT" }
  );

/** Why a datagram is no packet of ours. */
export type DecodeFailure = "malformed" | "bad-mac";
