import { randomBytes } from "node:crypto";
import type { CancelTimer, Clock, Log } from "@nomq/core";
import type { Element } from "../stream/element.ts";
import type { StreamEnd } from "../stream/stream-end.ts";
import type { IqAnswer, LinkCounts, RequestOptions } from "./link.ts";
import { createLoadWatch } from "./load-watch.ts";
import { createRateWatch, type SlowAnswers } from "./rate-watch.ts";
import { createRequests } from "./requests.ts";
import { unsendable } from "./sendable.ts";

/** What the desk needs of the link. */
export interface DeskOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly window?: number;
  readonly maxWaiting?: number;
  readonly maxSent?: number;
  isFrom(from: string | undefined, to: string | undefined): boolean;
  /** Only called while online. */
  write(texts: readonly string[]): void;
}

/** Takes requests at any time, sends them while online, and gives each its answer. */
export interface RequestDesk {
  request(iq: Element, options?: RequestOptions): Promise<IqAnswer>;
  answer(stanza: Element): void;
  /** Requests may be sent; {@link pump} begins with it. Answers how many will be sent again. */
  up(resumed: boolean): number;
  pump(): void;
  down(end: StreamEnd): void;
  close(): void;
  counts(): Pick<LinkCounts, "unanswered" | "poisoned" | "open" | "waiting" | "slow">;
}

const TIMEOUT_MS = 15_000;

/** Makes a desk that is not online yet. */
export function createRequestDesk(options: DeskOptions): RequestDesk {
  const { clock, log, window = 32, maxWaiting = 10_000, maxSent = 250_000, isFrom } = options;
  const requests = createRequests({ window, maxWaiting, isFrom });
  const run = randomBytes(6).toString("hex");
  let made = 0;
  let isOnline = false;
  let isClosed = false;
  let isPumping = false;
  let cancel: CancelTimer | undefined;
  /** A request has less time than those that the timer was set for. */
  let isSooner = false;
  const rate = createRateWatch();
  const load = createLoadWatch(window);

  const pump = (): void => {
    isPumping = false;
    if (!isOnline) return;
    const now = clock.monotonic();
    load.saw(now, requests.counts.open + requests.counts.waiting);
    const texts = requests.take(now);
    if (texts.length === 0) return;
    options.write(texts);
    if (cancel === undefined || isSooner) arm();
  };
  const soon = (): void => {
    if (isPumping || !isOnline) return;
    isPumping = true;
    queueMicrotask(pump);
  };
  const arm = (): void => {
    cancel?.();
    cancel = undefined;
    isSooner = false;
    const now = clock.monotonic();
    const next = requests.expire(now);
    if (next !== undefined) cancel = clock.after(Math.max(next - now, 1), watch);
  };
  const watch = (): void => {
    cancel = undefined;
    if (!isOnline) return;
    arm();
    soon();
  };
  const rest = (): void => {
    isOnline = false;
    cancel?.();
    cancel = undefined;
  };
  const take = (
    iq: Element,
    { first = false, timeoutMs = TIMEOUT_MS, signal }: RequestOptions,
  ): Promise<IqAnswer> => {
    if (isClosed || signal?.aborted) return Promise.resolve({ is: "aborted" });
    const id = `${run}${(made++).toString(36)}`;
    iq.attrs["id"] = id;
    isSooner ||= timeoutMs < TIMEOUT_MS;
    const text = iq.toString();
    const reason = unsendable(text, maxSent);
    if (reason !== undefined) return Promise.resolve({ is: "poison", reason });
    return new Promise((resolve) => {
      const abort = (): void => {
        requests.abort(id);
        soon();
      };
      const settle = (answer: IqAnswer): void => {
        signal?.removeEventListener("abort", abort);
        resolve(answer);
      };
      if (!requests.add({ id, text, to: iq.attrs["to"], timeoutMs, settle }, first)) return resolve(FULL);
      signal?.addEventListener("abort", abort, { once: true });
      soon();
    });
  };
  return {
    request: (iq, how = {}) => take(iq, how),
    answer(stanza) {
      const answered = requests.answer(stanza);
      const now = clock.monotonic();
      if (answered === undefined) log.debug("an XMPP answer that nobody waits for");
      else told(rate.answered(now, answered.text.length, load.isBusy(now)), log);
      load.saw(now, requests.counts.open + requests.counts.waiting);
      soon();
    },
    up(resumed) {
      isOnline = true;
      if (!resumed) return requests.replay();
      requests.resumed(clock.monotonic());
      arm();
      return 0;
    },
    pump,
    down(end) {
      // Before it was online nothing of ours went out.
      const broke = isOnline && end.is === "closed";
      rest();
      rate.reset();
      requests.lost({ blamed: end.blamed === true, broke, reason: end.reason });
    },
    close() {
      isClosed = true;
      rest();
      requests.close();
    },
    counts: () => {
      const { unanswered, poisoned, open, waiting } = requests.counts;
      const slow = rate.found(clock.monotonic());
      return { unanswered, poisoned, open, waiting, ...(slow === undefined ? {} : { slow }) };
    },
  };
}

const FULL: IqAnswer = {
  is: "error",
  type: "wait",
  condition: "resource-constraint",
  text: "too many requests wait for the connection",
};

function told(slow: SlowAnswers | undefined, log: Log): void {
  if (slow === undefined) return;
  log.warn(
    "the XMPP server takes requests slowly: as packaged, Prosody lets 10 kB/s of a client through and ejabberd 3 kB/s; " +
      "if it is that, raise its limit for this account (docs/xmpp.md)",
    { answersPerSecond: slow.answersPerSecond, bytesPerSecond: slow.bytesPerSecond },
  );
}
