import type { Clock } from "@nomq/core";
import { type Code, Response } from "../wire/code.ts";
import { createHeld } from "./held.ts";

/** A body that comes block by block. */
export interface Filling {
  /** Grows by doubling, so that nothing is set aside for what is only announced. */
  bytes: Uint8Array;
  length: number;
  /** Content-Format of the first block. */
  readonly format: string;
  /** Monotonic ms. */
  readonly begunAt: number;
}

/** Why an upload did not come to its end. */
export type UploadLoss =
  | "idle"
  | "slow"
  | "restarted"
  | "gap"
  | "different"
  | "malformed"
  | "too-large"
  | "crowded-out"
  | "refused";

/** Bounds and clock of uploads. */
export interface UploadBounds {
  readonly clock: Clock;
  readonly most: number;
  readonly each: number;
  readonly bytes: number;
  readonly idleMs: number;
  readonly totalMs: number;
  readonly lost: (why: UploadLoss) => void;
}

/** Uploads under way, bounded in count, bytes and time. */
export interface UploadRoom extends Disposable {
  /** The upload under way, unless it has taken too long. */
  find(transfer: string): Filling | undefined;
  /** Begins one; the code that refuses it where there is no room. */
  open(endpoint: string, transfer: string, format: string): Code | undefined;
  /** Appends a block; false: there is no room for it, and the upload is gone. */
  append(transfer: string, block: Uint8Array): boolean;
  /** Ends one: complete, or lost for a reason. */
  close(transfer: string, why?: UploadLoss): void;
  count(): number;
  bytes(): number;
}

interface Place {
  readonly endpoint: string;
  readonly filling: Filling;
}

const SMALLEST = 1024;

/**
 * Makes an empty room. An upload of one block, which anybody can begin with one datagram from any address, gives way to
 * others; one that goes on does not, so that a flood of beginnings ends no honest upload.
 */
export function createUploadRoom(bounds: UploadBounds): UploadRoom {
  const { clock, idleMs } = bounds;
  let bytes = 0;
  const lose = ({ filling }: Place, why?: UploadLoss): void => {
    bytes -= filling.bytes.length;
    if (why !== undefined) bounds.lost(why);
  };
  const begun = createHeld<Place>({ clock, idleMs, idle: (place) => lose(place, "idle") });
  const going = createHeld<Place>({ clock, idleMs, idle: (place) => lose(place, "idle") });
  const find = (transfer: string): Place | undefined => begun.touch(transfer) ?? going.touch(transfer);
  const close = (transfer: string, why?: UploadLoss): void => {
    const place = begun.remove(transfer) ?? going.remove(transfer);
    if (place !== undefined) lose(place, why);
  };
  const dropBegun = (endpoint?: string): boolean => {
    const oldest = begun.oldest(endpoint);
    if (oldest !== undefined) close(oldest.key, "crowded-out");
    return oldest !== undefined;
  };
  const grow = (filling: Filling, needed: number): boolean => {
    const size = Math.max(SMALLEST, filling.bytes.length * 2, needed);
    while (bytes - filling.bytes.length + size > bounds.bytes) if (!dropBegun()) return false;
    bytes += size - filling.bytes.length;
    const larger = new Uint8Array(size);
    larger.set(filling.bytes);
    filling.bytes = larger;
    return true;
  };
  /** From the second block on it goes on: it leaves those that may be dropped. */
  const goOn = (transfer: string, place: Place): void => {
    if (place.filling.length === 0 || begun.remove(transfer) === undefined) return;
    going.add(place.endpoint, transfer, place);
  };
  return {
    find(transfer) {
      const filling = find(transfer)?.filling;
      if (filling === undefined || clock.monotonic() - filling.begunAt < bounds.totalMs) return filling;
      close(transfer, "slow");
      return undefined;
    },
    open(endpoint, transfer, format) {
      while (begun.count(endpoint) + going.count(endpoint) >= bounds.each)
        if (!dropBegun(endpoint)) return Response.tooManyRequests;
      while (begun.count() + going.count() >= bounds.most)
        if (!dropBegun()) return Response.serviceUnavailable;
      const filling = { bytes: new Uint8Array(0), length: 0, format, begunAt: clock.monotonic() };
      begun.add(endpoint, transfer, { endpoint, filling });
      return undefined;
    },
    append(transfer, block) {
      const place = find(transfer);
      if (place === undefined) return false;
      goOn(transfer, place);
      const { filling } = place;
      const needed = filling.length + block.length;
      if (needed > filling.bytes.length && !grow(filling, needed)) {
        close(transfer, "refused");
        return false;
      }
      filling.bytes.set(block, filling.length);
      filling.length = needed;
      return true;
    },
    close,
    count: () => begun.count() + going.count(),
    bytes: () => bytes,
    [Symbol.dispose]() {
      begun[Symbol.dispose]();
      going[Symbol.dispose]();
      bytes = 0;
    },
  };
}
