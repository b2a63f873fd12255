/** Tells a socket that no longer works from destinations that cannot be reached. */
export interface FailureWatch {
  /** A datagram has left. */
  sent(): void;
  /** One could not leave. Answers why the socket must be opened again, or undefined. */
  notSent(code: string): string | undefined;
  /** The socket reported an error of its own. Answers as above. */
  reported(code: string): string | undefined;
}

/** The socket itself is gone. */
const GONE: ReadonlySet<string> = new Set(["EBADF", "ENOTSOCK", "ERR_SOCKET_DGRAM_NOT_RUNNING"]);
/** May pass; a socket that sends nothing else any more does not work. */
const TROUBLE: ReadonlySet<string> = new Set(["ENETDOWN", "ENOBUFS", "ENOMEM", "ENODEV", "EIO"]);
/** What sending from an address that was taken away answers, and what some destinations answer as well. */
const PERHAPS_ADDRESS: ReadonlySet<string> = new Set(["EINVAL", "EADDRNOTAVAIL", "ENETUNREACH", "ENODEV"]);
/** What routers and hosts on the way report of a datagram sent earlier. */
const OF_A_DESTINATION: ReadonlySet<string> = new Set([
  "ECONNREFUSED",
  "ECONNRESET",
  "EHOSTDOWN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "EMSGSIZE",
  "EPERM",
  "EACCES",
]);
const MOST_IN_A_ROW = 5;
/** A burst that fills a queue fails as often within a moment. */
const LEAST_MS = 1000;

/** What a watch asks. */
export interface FailureWatchUse {
  /** Whether this machine still has the address the socket is bound to. */
  readonly hasAddress: () => boolean;
  /** Monotonic milliseconds. */
  readonly now: () => number;
}

/** Makes a watch. */
export function createFailureWatch({ hasAddress, now }: FailureWatchUse): FailureWatch {
  let inARow = 0;
  let since = 0;
  return {
    sent() {
      inARow = 0;
    },
    notSent(code) {
      if (GONE.has(code)) return code;
      if (PERHAPS_ADDRESS.has(code) && !hasAddress()) return "its address is gone";
      if (!TROUBLE.has(code)) return undefined;
      if (inARow === 0) since = now();
      inARow += 1;
      return inARow >= MOST_IN_A_ROW && now() - since >= LEAST_MS ? code : undefined;
    },
    reported: (code) => (OF_A_DESTINATION.has(code) ? undefined : code || "unknown"),
  };
}
