import type { Outcome, Qos } from "@nomq/core";
import { classOf, codeText, Response } from "../wire/code.ts";
import { DEFAULT_MAX_AGE } from "../wire/options.ts";
import type { Exchanged } from "./agent-exchange.ts";
import { maxAgeOf } from "./answer-options.ts";

/** One call to write. */
export interface WriteCall {
  readonly qos: Qos;
  readonly attempt: number;
  /** The channel's value was cleared: a DELETE. */
  readonly cleared: boolean;
}

/** How a write ended. */
export interface WriteEnd {
  readonly outcome: Outcome;
  /** The actuator has certainly not carried it out: a repetition delivers nothing twice. */
  readonly isUntaken: boolean;
}

const FIRST_RETRY_MS = 1_000;
const LONGEST_RETRY_MS = 60_000;
/** The longest that a Max-Age of 4.29 or 5.03 is obeyed. */
const LONGEST_OBEYED_MS = 3_600_000;

/** Answers that pass: overload (RFC 8516, RFC 7252 section 5.9.3.4), and blocks that the server has let go. */
const PASSING: ReadonlySet<number> = new Set([
  Response.serviceUnavailable,
  Response.tooManyRequests,
  Response.requestEntityIncomplete,
]);

/** What an exchange means for the message that was written. */
export function writeEnd(done: Exchanged, call: WriteCall): WriteEnd {
  switch (done.is) {
    case "answered":
      return answered(done, call);
    case "reset":
      // The peer had no use for the request: it was not carried out (RFC 7252 section 4.2).
      return notCarriedOut("reset", call);
    case "aborted":
      return done.sent ? unknown("aborted while it was written", call) : untaken("aborted", call);
    case "silent":
      return unknown("no answer", call);
    case "broken":
      // Nothing has left, and never will.
      return done.reason === "path-too-long" ? refused(done.reason) : unknown(done.reason, call);
  }
}

/** Nothing has left; it is tried again. */
export function untaken(reason: string, { attempt }: Pick<WriteCall, "attempt">, afterMs?: number): WriteEnd {
  const wait = Math.min(FIRST_RETRY_MS * 2 ** Math.min(attempt - 1, 10), LONGEST_RETRY_MS);
  return { outcome: { is: "retry", reason, afterMs: afterMs ?? wait }, isUntaken: true };
}

function answered({ code, options }: Extract<Exchanged, { is: "answered" }>, call: WriteCall): WriteEnd {
  const reason = `answered ${codeText(code)}`;
  // What is not there need not be cleared.
  const isDone = classOf(code) === 2 || (call.cleared && code === Response.notFound);
  if (isDone) return { outcome: { is: "delivered" }, isUntaken: false };
  if (!PASSING.has(code)) return refused(reason);
  if (code === Response.requestEntityIncomplete) return notCarriedOut(reason, call);
  const said = (maxAgeOf(options) ?? DEFAULT_MAX_AGE) * 1_000;
  return notCarriedOut(reason, call, Math.min(Math.max(said, FIRST_RETRY_MS), LONGEST_OBEYED_MS));
}

/** QoS 0 is tried once. */
function notCarriedOut(reason: string, call: WriteCall, afterMs?: number): WriteEnd {
  return call.qos === 0 ? refused(reason) : untaken(reason, call, afterMs);
}

/** Nobody can tell whether it was carried out: only QoS 1 may be twice. */
function unknown(reason: string, call: WriteCall): WriteEnd {
  if (call.qos === 1) return { outcome: untaken(reason, call).outcome, isUntaken: false };
  return { outcome: { is: "uncertain", reason }, isUntaken: false };
}

const refused = (reason: string): WriteEnd => ({ outcome: { is: "refused", reason }, isUntaken: true });
