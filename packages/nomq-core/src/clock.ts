import { readFileSync } from "node:fs";

/** Ends a timer; calling it after the timer fired or twice does nothing. */
export type CancelTimer = () => void;

/** Milliseconds since an arbitrary start that is the same for all processes of one boot of the system. */
export interface Boot {
  /** Another after each boot. */
  readonly id: string;
  readonly ms: number;
}

/** Time, handed in so that tests own it. One clock serves the hub and every bridge. */
export interface Clock {
  /** Wall clock in Unix milliseconds; may step. */
  now(): number;
  /** Milliseconds since an arbitrary start; never goes back. Timers and deadlines use it. */
  monotonic(): number;
  /** A monotonic time that goes on over processes until the system boots again. Absent or undefined: none is known. */
  boot?(): Boot | undefined;
  /** Calls `run` once after `ms` milliseconds of monotonic time. Does not keep the process alive. */
  after(ms: number, run: () => void): CancelTimer;
}

// setTimeout counts in a signed 32-bit number of milliseconds and fires at once beyond it.
const LONGEST_TIMEOUT_MS = 2 ** 31 - 1;

const BOOT_ID: string | undefined = bootId();

/** Linux names each boot; elsewhere none is known. */
function bootId(): string | undefined {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    return undefined;
  }
}

/** The machine's clock. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  boot: () =>
    BOOT_ID === undefined ? undefined : { id: BOOT_ID, ms: Number(process.hrtime.bigint() / 1_000_000n) },
  after: (ms, run) => {
    const timer = setTimeout(run, Math.min(Math.max(ms, 0), LONGEST_TIMEOUT_MS));
    timer.unref();
    return () => clearTimeout(timer);
  },
};
