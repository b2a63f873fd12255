import { createHmac } from "node:crypto";
import type { Port } from "@nomq/core";
import { drawBytes } from "./request.ts";

/**
 * What makes us the same client after a restart: the socket's port and a seed of tokens. A sensor then takes our
 * registration for the one it has, and keeps no second relation for a client that is gone (RFC 7641 section 4.1).
 */
export interface Remembered {
  /** Absent: none was used yet. */
  readonly port?: number;
  readonly seed: Uint8Array;
}

const KEY = Buffer.from("client");
const SEED_BYTES = 16;
const PORT_BYTES = 2;
const TOKEN_BYTES = 8;

/** Reads it; where there is none, one with a seed from `random`. */
export async function readRemembered(port: Port, random: () => number): Promise<Remembered> {
  for await (const [key, value] of port.state()) {
    if (Buffer.compare(key, KEY) !== 0 || value.length !== PORT_BYTES + SEED_BYTES) continue;
    const bytes = Buffer.from(value);
    const used = bytes.readUInt16BE(0);
    return { seed: bytes.subarray(PORT_BYTES), ...(used === 0 ? {} : { port: used }) };
  }
  return { seed: drawBytes(SEED_BYTES, random) };
}

/** Writes it. */
export async function remember(port: Port, { port: used = 0, seed }: Remembered): Promise<void> {
  const value = Buffer.alloc(PORT_BYTES + SEED_BYTES);
  value.writeUInt16BE(used, 0);
  value.set(seed, PORT_BYTES);
  await port.remember([{ key: KEY, value }]);
}

/** The token of one sensor, the same for as long as the seed is. */
export function tokenOf(
  seed: Uint8Array,
  { url, channel }: { readonly url: string; readonly channel: string },
): Uint8Array {
  const digest = createHmac("sha256", seed).update(`${url}\n${channel}`).digest();
  return Uint8Array.from(digest.subarray(0, TOKEN_BYTES));
}
