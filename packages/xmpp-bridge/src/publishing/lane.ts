import { NomqError, type Outcome } from "@nomq/core";

/** A message of one channel on its way to the server. */
export interface LaneCall {
  /** Ends when the call has its outcome, whatever it is: requests of its end with it. */
  readonly signal: AbortSignal;
  readonly isOpen: boolean;
  /** Final for this call, and for no other of its lane. */
  settle(outcome: Exclude<Outcome, { is: "retry" }>): void;
}

/** Hands a call's requests to the link. Resolved when they have been: the next call's may follow. */
export type Issue = (call: LaneCall) => Promise<void> | undefined;

/**
 * The calls of one channel, whose requests go to the link one after the other. When one must be repeated, all that are
 * open are: what came later must not stay behind as if it were older.
 */
export interface Lane {
  /** True while nothing is open and no failure is being heard. */
  readonly isIdle: boolean;
  /** Begins a call; its requests go out when those of all before it have. */
  call(issue: Issue): Promise<Outcome>;
  /** Answers all that is open, and what comes before that has been heard, with `retry`. */
  fail(reason: string, afterMs?: number): void;
}

interface OpenCall extends LaneCall {
  readonly issue: Issue;
  end(outcome: Outcome): void;
}

/** Every call ends with this, also where nobody listens any more: an error of its own for each would cost more than the rest. */
const ENDED: unknown = new NomqError("aborted", "the message has its outcome");

/** Makes a lane; `rested` is called each time that it becomes idle. */
export function createLane(rested: () => void): Lane {
  const open = new Set<OpenCall>();
  /** Not handed to the link yet, oldest first. */
  const waiting: OpenCall[] = [];
  let isIssuing = false;
  let failure: Outcome | undefined;

  const rest = (): void => {
    if (lane.isIdle) rested();
  };
  const issueAll = async (): Promise<void> => {
    if (isIssuing) return;
    isIssuing = true;
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const issued = next.isOpen ? next.issue(next) : undefined;
      // No needless wait: what is ready goes out in the same turn.
      if (issued !== undefined) await issued;
    }
    isIssuing = false;
  };
  const begin = (issue: Issue, resolve: (outcome: Outcome) => void): OpenCall => {
    const controller = new AbortController();
    const call: OpenCall = {
      issue,
      signal: controller.signal,
      get isOpen() {
        return open.has(call);
      },
      end(outcome) {
        if (!open.delete(call)) return;
        resolve(outcome);
        controller.abort(ENDED);
        rest();
      },
      settle: (outcome) => call.end(outcome),
    };
    return call;
  };
  const lane: Lane = {
    get isIdle() {
      return open.size === 0 && failure === undefined;
    },
    call(issue) {
      if (failure !== undefined) return Promise.resolve(failure);
      const { promise, resolve } = Promise.withResolvers<Outcome>();
      const call = begin(issue, resolve);
      open.add(call);
      waiting.push(call);
      void issueAll();
      return promise;
    },
    fail(reason, afterMs) {
      if (failure !== undefined) return;
      const outcome: Outcome = { is: "retry", reason, ...(afterMs === undefined ? {} : { afterMs }) };
      failure = outcome;
      waiting.length = 0;
      for (const call of [...open]) call.end(outcome);
      // The hub hears the answers in this turn; until then it may still open calls behind the one that failed.
      setImmediate(() => {
        failure = undefined;
        rest();
      });
    },
  };
  return lane;
}
