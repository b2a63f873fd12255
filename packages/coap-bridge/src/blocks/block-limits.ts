import { MAX_TRANSMIT_WAIT_MS } from "../messaging/parameters.ts";

/** Bounds on what half-done transfers may hold. */
export interface BlockLimits {
  /** Uploads under way in all. Default 4,096. */
  readonly uploads?: number;
  /** Uploads under way per endpoint. Default 8. */
  readonly uploadsEach?: number;
  /** Bytes of uploads under way in all; two of the largest bodies always fit. Default 32 MiB. */
  readonly uploadBytes?: number;
  /** The same per endpoint; one of the largest bodies always fits. Default 4 MiB. */
  readonly uploadBytesEach?: number;
  /** An upload without a new block for so long is given up, in ms. Default 93,000: MAX_TRANSMIT_WAIT. */
  readonly uploadIdleMs?: number;
  /** An upload that is not complete after so long is given up, in ms. Default 30 minutes. */
  readonly uploadTotalMs?: number;
  /** Responses that clients have begun to fetch, in all. Default 16,384. */
  readonly snapshots?: number;
  /** The same per endpoint. Default 16. */
  readonly snapshotsEach?: number;
  /** Bytes of their bodies, each body once however many fetch it. Default 32 MiB. */
  readonly snapshotBytes?: number;
  /** A response nobody has asked a block of for so long is let go, in ms. Default 93,000: MAX_TRANSMIT_WAIT. */
  readonly snapshotIdleMs?: number;
}

export const DEFAULT_BLOCK_LIMITS: Required<BlockLimits> = {
  uploads: 4096,
  uploadsEach: 8,
  uploadBytes: 32 * 1024 * 1024,
  uploadBytesEach: 4 * 1024 * 1024,
  uploadIdleMs: MAX_TRANSMIT_WAIT_MS,
  uploadTotalMs: 30 * 60_000,
  snapshots: 16_384,
  snapshotsEach: 16,
  snapshotBytes: 32 * 1024 * 1024,
  snapshotIdleMs: MAX_TRANSMIT_WAIT_MS,
};
