import { CLOCK_TOLERANCE } from "./clock-offset.ts";

/**
 * What a device may have taken of one message: it would take the same message sealed anew for another one. Times are
 * milliseconds of one monotonic clock, `deviceSeconds` what the device's clock is thought to show.
 */
export interface SealedCopies {
  /** The copy that a device of this clock may have; sealed now if it has none. */
  copyFor(at: { readonly now: number; readonly deviceSeconds: number }, seal: () => Uint8Array): Uint8Array;
}

interface Copy {
  readonly bytes: Uint8Array;
  readonly sealedAt: number;
  readonly deviceSeconds: number;
}

/**
 * A device takes a stamp up to 30 s off its clock, and its clock is measured by packets that come late: one sealed
 * further off than this cannot have been taken.
 */
const OUT_OF_REACH_SECONDS = 3 * CLOCK_TOLERANCE;

/** Makes the copies of one message. */
export function createSealedCopies(): SealedCopies {
  const copies: Copy[] = [];
  return {
    copyFor({ now, deviceSeconds }, seal) {
      const isInReach = (copy: Copy): boolean => {
        const shows = copy.deviceSeconds + (now - copy.sealedAt) / 1000;
        return Math.abs(shows - deviceSeconds) <= OUT_OF_REACH_SECONDS;
      };
      const known = copies.find(isInReach);
      if (known !== undefined) return known.bytes;
      const bytes = seal();
      copies.push({ bytes, sealedAt: now, deviceSeconds });
      return bytes;
    },
  };
}
