import { hash } from "node:crypto";

/** Bytes of a channel id. */
export const CHANNEL_ID_BYTES = 16;

/** A channel's name on the wire: the first 16 bytes of SHA-256 over its UTF-8 (protocol.md section 1). */
export function channelId(name: string): Uint8Array {
  return hash("sha256", name, "buffer").subarray(0, CHANNEL_ID_BYTES);
}

/** A channel id as 32 lower-case hex digits: the key of maps, and what logs show. */
export function channelKey(id: Uint8Array): string {
  return Buffer.from(id.buffer, id.byteOffset, id.length).toString("hex");
}

/** The id of no channel: 16 zero bytes, as heartbeats of devices carry. A fresh copy each time. */
export function noChannelId(): Uint8Array {
  return new Uint8Array(CHANNEL_ID_BYTES);
}

/** Whether the id names no channel. */
export function isNoChannelId(id: Uint8Array): boolean {
  return id.every((byte) => byte === 0);
}
