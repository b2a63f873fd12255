import type { Outcome, Qos } from "@nomq/core";
import { classOf, codeText, Response } from "../wire/code.ts";
import type { Exchanged } from "./agent-exchange.ts";
import { askedToWaitMs } from "./answer-options.ts";

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
  // Blocks that the server has let go.
  if (code === Response.requestEntityIncomplete) return notCarriedOut(reason, call);
  const asked = askedToWaitMs(code, options);
  return asked === undefined ? refused(reason) : notCarriedOut(reason, call, asked);
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
