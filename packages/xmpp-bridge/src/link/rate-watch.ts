/** How fast a server answers while it has always something to do. */
export interface SlowAnswers {
  readonly answersPerSecond: number;
  /** Of the requests that it answered. */
  readonly bytesPerSecond: number;
}

/** Looks out for servers that take requests no faster than a limit of theirs. */
export interface RateWatch {
  /** An answer came. `busy`: the window was in use. Answers the rate once, when it is sure. */
  answered(now: number, bytes: number, busy: boolean): SlowAnswers | undefined;
  /** The connection broke: what was counted says nothing any more, and limits may have been lifted meanwhile. */
  reset(): void;
  /** The rate of this connection, where it was too slow. */
  found(now: number): SlowAnswers | undefined;
}

/** So long it must go on, milliseconds: servers let bursts through. */
const SUSTAINED_MS = 10_000;

/** Servers without a limit answer some hundred times a second and more; packaged limits let 23 and 45 through. */
const SLOW_PER_SECOND = 80;

/** So long after it was last busy, milliseconds, nobody waits for a server any more. */
const FORGOTTEN_MS = 60_000;

/** Watches one link, over all of its sessions. */
export function createRateWatch(): RateWatch {
  let since: number | undefined;
  let answers = 0;
  let total = 0;
  let slow: SlowAnswers | undefined;
  let isTold = false;
  let busyAt = Number.NEGATIVE_INFINITY;
  const begin = (at: number | undefined): void => {
    since = at;
    answers = 0;
    total = 0;
  };
  return {
    answered(now, bytes, busy) {
      if (busy) busyAt = now;
      if (!busy || since === undefined) {
        begin(busy ? now : undefined);
        return undefined;
      }
      answers += 1;
      total += bytes;
      const seconds = (now - since) / 1000;
      if (seconds * 1000 < SUSTAINED_MS) return undefined;
      const perSecond = {
        answersPerSecond: Math.round(answers / seconds),
        bytesPerSecond: Math.round(total / seconds),
      };
      slow = answers / seconds < SLOW_PER_SECOND ? perSecond : undefined;
      begin(now);
      const isNews = slow !== undefined && !isTold;
      isTold ||= isNews;
      return isNews ? slow : undefined;
    },
    reset() {
      begin(undefined);
      slow = undefined;
      isTold = false;
    },
    found: (now) => (now - busyAt < FORGOTTEN_MS ? slow : undefined),
  };
}
