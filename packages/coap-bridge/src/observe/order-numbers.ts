/** Numbers for the Observe option: rising, also over restarts, modulo 2^24 (RFC 7641 section 4.4). */
export interface OrderNumbers {
  /** The next one, as it goes into the option. */
  next(): number;
}

/** What they go on from. */
export interface OrderNumbersOptions {
  /** Up to which number they were reserved in the last run; absent: the first run. */
  readonly reserved?: number;
  /** Where the first run begins. */
  readonly start: number;
  /** Writes down that numbers up to this one may have been used. */
  readonly reserve: (upTo: number) => void;
}

/** Numbers in 24 bits (RFC 7641 section 2). */
export const ORDER_MODULUS: number = 2 ** 24;
/** So many are reserved at once: far fewer than the half of 2^24 that a client takes for newer. */
const RESERVED_AT_ONCE = 2 ** 16;

/**
 * A run begins behind all that an earlier one can have used: observers whose relation lasted would take a lower number
 * for an old notification (RFC 7641 section 3.4).
 */
export function createOrderNumbers({ reserved, start, reserve }: OrderNumbersOptions): OrderNumbers {
  let last = reserved ?? start;
  let upTo = last;
  const reserveMore = (): void => {
    upTo += RESERVED_AT_ONCE;
    reserve(upTo);
  };
  return {
    next() {
      last += 1;
      // Early enough that the write has ended before it is needed.
      if (last > upTo - RESERVED_AT_ONCE / 2) reserveMore();
      return last % ORDER_MODULUS;
    },
  };
}
