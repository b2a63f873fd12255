import { NomqError } from "../errors.ts";
import { type BlockCipher, createBlockCipher } from "./cipher.ts";
import { createMac, createSeal, type Mac, type Seal } from "./mac.ts";
import type { Key } from "./packet.ts";

const KEY_BYTES = 32;

/** A key made ready: its pads are computed and its cipher objects live on between packets. */
export interface PacketKey {
  readonly key: Key;
  readonly cipher: BlockCipher;
  readonly macs: { readonly micropython: Mac; readonly standard: Mac };
  readonly seals: { readonly micropython: Seal; readonly standard: Seal };
}

/** The keys of one node, tried in order. */
export interface KeyRing {
  readonly keys: readonly PacketKey[];
  /** The key with that id. */
  get(id: string): PacketKey | undefined;
}

/** Makes one key ready. Throws `key-invalid` unless both halves have 32 bytes. */
export function createPacketKey(key: Key): PacketKey {
  for (const half of ["encryption", "mac"] as const) {
    if (key[half].length === KEY_BYTES) continue;
    throw new NomqError(
      "key-invalid",
      `the ${half} key of "${key.id}" has ${key[half].length} bytes, needs 32`,
    );
  }
  return {
    key,
    cipher: createBlockCipher(key.encryption),
    macs: { micropython: createMac(key.mac, "micropython"), standard: createMac(key.mac, "standard") },
    seals: { micropython: createSeal(key.mac, "micropython"), standard: createSeal(key.mac, "standard") },
  };
}

/** Makes a ring. Throws `key-invalid` for a key of wrong length or an id used twice. */
export function createKeyRing(keys: readonly Key[]): KeyRing {
  const byId = new Map<string, PacketKey>();
  for (const key of keys) {
    if (byId.has(key.id)) throw new NomqError("key-invalid", `two keys have the id "${key.id}"`);
    byId.set(key.id, createPacketKey(key));
  }
  return { keys: [...byId.values()], get: (id) => byId.get(id) };
}
