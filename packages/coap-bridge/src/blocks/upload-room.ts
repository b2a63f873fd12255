import type { Clock } from "@nomq/core";
import { type Code, Response } from "../wire/code.ts";
import { createHeld, type Held } from "./held.ts";

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
  /** Of all; never less than two of the largest bodies. */
  readonly bytes: number;
  /** Of one endpoint; never less than the largest body. */
  readonly bytesEach: number;
  readonly idleMs: number;
  readonly totalMs: number;
  readonly lost: (why: UploadLoss) => void;
}

/** Uploads under way, bounded in count, bytes and time. */
export interface UploadRoom extends Disposable {
  /** The upload under way, unless it has taken too long. */
  find(transfer: string): Filling | undefined;
  /** Begins one; the code that refuses it where there is no room. */
  open(opening: UploadOpening): Code | undefined;
  /** Appends a block; the code that refuses it where there is no room for it, and the upload is gone. */
  append(transfer: string, block: Uint8Array): Code | undefined;
  /** Ends one: complete, or lost for a reason. */
  close(transfer: string, why?: UploadLoss): void;
  count(): number;
  bytes(): number;
}

/** Whose upload begins. */
export interface UploadOpening {
  readonly endpoint: string;
  readonly transfer: string;
  readonly format: string;
  /** Nobody else can have sent it: see `Remote.proven`. */
  readonly proven: boolean;
  /** Largest body in bytes. */
  readonly most: number;
}

interface Place extends UploadOpening {
  readonly filling: Filling;
}

const SMALLEST = 1024;
const NOTHING = new Uint8Array(0);

/**
 * Makes an empty room. An upload of one block, which anybody can begin with one datagram from any address, gives way to
 * others, the oldest first; one that goes on does not, so that a flood of beginnings ends no honest upload. Where one goes
 * on from an address that may be forged, it still gives way to those of proven ones.
 */
export function createUploadRoom(bounds: UploadBounds): UploadRoom {
  const { clock, idleMs } = bounds;
  let bytes = 0;
  const bytesOf = new Map<string, number>();
  const account = (endpoint: string, change: number): void => {
    bytes += change;
    const own = (bytesOf.get(endpoint) ?? 0) + change;
    if (own > 0) bytesOf.set(endpoint, own);
    else bytesOf.delete(endpoint);
  };
  const lose = ({ endpoint, filling }: Place, why?: UploadLoss): void => {
    account(endpoint, -filling.bytes.length);
    // V8 keeps what an old table of a Map pointed to until a full collection: that must not be the body.
    filling.bytes = NOTHING;
    if (why !== undefined) bounds.lost(why);
  };
  const hold = (): Held<Place> => createHeld({ clock, idleMs, idle: (place) => lose(place, "idle") });
  const begun = hold();
  const unproven = hold();
  const going = hold();
  const all = [begun, unproven, going];
  const count = (endpoint?: string): number => all.reduce((sum, held) => sum + held.count(endpoint), 0);
  const find = (transfer: string): Place | undefined =>
    begun.touch(transfer) ?? unproven.touch(transfer) ?? going.touch(transfer);
  const close = (transfer: string, why?: UploadLoss): void => {
    const place = begun.remove(transfer) ?? unproven.remove(transfer) ?? going.remove(transfer);
    if (place !== undefined) lose(place, why);
  };
  const dropOldest = (held: Held<Place>, endpoint?: string): boolean => {
    const oldest = held.oldest(endpoint);
    if (oldest !== undefined) close(oldest.key, "crowded-out");
    return oldest !== undefined;
  };
  /** Whether there is one less, for the sake of this one. */
  const makeRoom = ({ proven }: UploadOpening): boolean =>
    dropOldest(begun) || (proven && dropOldest(unproven));
  const grow = (place: Place, needed: number): Code | undefined => {
    const { filling, endpoint, most } = place;
    const size = Math.max(needed, Math.min(most, Math.max(SMALLEST, filling.bytes.length * 2)));
    const more = size - filling.bytes.length;
    while ((bytesOf.get(endpoint) ?? 0) + more > Math.max(bounds.bytesEach, most))
      if (!dropOldest(begun, endpoint)) return Response.tooManyRequests;
    while (bytes + more > Math.max(bounds.bytes, 2 * most))
      if (!makeRoom(place)) return Response.serviceUnavailable;
    account(endpoint, more);
    const larger = new Uint8Array(size);
    larger.set(filling.bytes);
    filling.bytes = larger;
    return undefined;
  };
  /** From the second block on it goes on: it leaves those that may be dropped. */
  const goOn = (transfer: string, place: Place): void => {
    if (place.filling.length === 0 || begun.remove(transfer) === undefined) return;
    (place.proven ? going : unproven).add(place.endpoint, transfer, place);
  };
  return {
    find(transfer) {
      const filling = find(transfer)?.filling;
      if (filling === undefined || clock.monotonic() - filling.begunAt < bounds.totalMs) return filling;
      close(transfer, "slow");
      return undefined;
    },
    open(opening) {
      const { endpoint, transfer, format, proven, most } = opening;
      while (count(endpoint) >= bounds.each)
        if (!dropOldest(begun, endpoint)) return Response.tooManyRequests;
      while (count() >= bounds.most) if (!makeRoom(opening)) return Response.serviceUnavailable;
      const filling = { bytes: NOTHING, length: 0, format, begunAt: clock.monotonic() };
      // Not all of what was handed in: that has the datagram in it.
      begun.add(endpoint, transfer, { endpoint, transfer, format, proven, most, filling });
      return undefined;
    },
    append(transfer, block) {
      const place = find(transfer);
      if (place === undefined) return Response.serviceUnavailable;
      goOn(transfer, place);
      const { filling } = place;
      const needed = filling.length + block.length;
      const refusal = needed > filling.bytes.length ? grow(place, needed) : undefined;
      if (refusal !== undefined) {
        close(transfer, "refused");
        return refusal;
      }
      filling.bytes.set(block, filling.length);
      filling.length = needed;
      return undefined;
    },
    close,
    count: () => count(),
    bytes: () => bytes,
    [Symbol.dispose]() {
      for (const held of all) held[Symbol.dispose]();
      bytes = 0;
      bytesOf.clear();
    },
  };
}
