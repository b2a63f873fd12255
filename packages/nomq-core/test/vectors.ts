import { readFileSync } from "node:fs";
import { createKeyRing, type Key, type KeyRing } from "../src/index.ts";

/** One line of the vectors' `send` list, as far as the tests read it. */
export interface SendVector {
  readonly name: string;
  readonly hex: string;
  /** What `publish` was called with, where `call` says so. */
  readonly inputs: {
    readonly call: string;
    readonly session_id: string;
    readonly packet_id: string;
    readonly nonce: string;
    readonly iv: string;
    readonly channel: string;
    readonly message: string;
    readonly qos: number;
    readonly retain: boolean;
    readonly priority: number;
    readonly ttl: number;
    readonly time: number;
  };
  readonly fields: {
    readonly type_name: string;
    readonly flags: string;
    readonly packet_id: string;
    readonly session_id: string;
    readonly ttl: number;
    readonly timestamp: number;
    readonly channel_id: string;
    readonly header_iv: string;
    readonly plaintext: string;
    readonly acked_packet_id?: string;
    readonly channel_name?: string;
    readonly publish?: { readonly nonce: string; readonly message_length_bytes: number };
  };
}

export interface ReceiveVector {
  readonly name: string;
  readonly hex: string;
  readonly expect: {
    readonly delivered: string | null;
    readonly reply: null | {
      readonly type: number;
      readonly flags: string;
      readonly packet_id: string;
      readonly channel_id: string;
      readonly ttl: number;
    };
    readonly log: readonly string[];
  };
}

export interface StandardVector {
  readonly name: string;
  readonly hex: string;
  readonly inputs: {
    readonly type: number;
    readonly flags: string;
    readonly packet_id: string;
    readonly session_id: string;
    readonly time: number;
    readonly iv: string;
    readonly channel: string | null;
    readonly plaintext: string;
  };
}

export interface Vectors {
  readonly keys: { readonly encryption_key: string; readonly hmac_key: string };
  readonly time: number;
  readonly send: readonly SendVector[];
  readonly receive: readonly ReceiveVector[];
  readonly standard: readonly StandardVector[];
  readonly config: {
    readonly vectors: readonly {
      readonly name: string;
      readonly plaintext: string;
      readonly file: string;
      readonly iv: string;
    }[];
  };
  readonly gen_signature: readonly { readonly message: string; readonly signature: string }[];
  readonly channel_ids: readonly { readonly channel: string; readonly id: string }[];
}

// The file is ours and every field read here is exercised by a test.
export const vectors = JSON.parse(
  readFileSync(new URL("./fixtures/nomq-v1.json", import.meta.url), "utf8"),
) as Vectors;

export const bytes = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, "hex"));
export const hex = (data: Uint8Array): string => Buffer.from(data).toString("hex");

/** The vectors' key in the given dialect. */
export function vectorKey(dialect: Key["dialect"] = "auto", id = "site"): Key {
  return { id, encryption: bytes(vectors.keys.encryption_key), mac: bytes(vectors.keys.hmac_key), dialect };
}

export function vectorRing(dialect: Key["dialect"] = "auto"): KeyRing {
  return createKeyRing([vectorKey(dialect)]);
}
