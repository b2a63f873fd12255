import { createHmac, timingSafeEqual } from "node:crypto";
import type { Peer } from "./peer.ts";

const ECHO_BYTES = 8;
/** A value is taken for one to two of these: longer than any client needs to repeat its request. */
const EPOCH_MS = 120_000;

/** Values of the Echo option (RFC 9175): only who receives at an address knows the one for it. Nothing is stored. */
export interface EchoValues {
  for(peer: Peer, now: number): Uint8Array;
  isFor(peer: Peer, value: Uint8Array, now: number): boolean;
}

/** Makes them with a secret of this process. */
export function createEchoValues(secret: Uint8Array): EchoValues {
  const tagOf = (peer: Peer, epoch: number): Uint8Array =>
    createHmac("sha256", secret).update(`${epoch} ${peer.key}`).digest().subarray(0, ECHO_BYTES);
  return {
    for: (peer, now) => tagOf(peer, Math.floor(now / EPOCH_MS)),
    isFor(peer, value, now) {
      if (value.length !== ECHO_BYTES) return false;
      const epoch = Math.floor(now / EPOCH_MS);
      return [epoch, epoch - 1].some((one) => timingSafeEqual(tagOf(peer, one), value));
    },
  };
}
