import type { Log, SessionLog } from "@nomq/core";
import type { ApiError } from "../api/failure.ts";
import type { HttpCounters } from "./http-counts.ts";

/** Tells of a request that was turned away. */
export type Refusals = (error: ApiError, address: string) => void;

/** Where it is told. */
export interface RefusalsOptions {
  readonly key: string;
  readonly log: Log;
  readonly sessionLog: SessionLog;
  readonly counters: HttpCounters;
}

/** Addresses and reasons whose first refusal the log has told. */
const TOLD_AT_MOST = 1_000;
const LOGINS: ReadonlySet<string> = new Set(["token-invalid", "too-many-failures"]);

/**
 * Makes the telling of one listener: each is counted; the log says it once for an address and a reason, with what would
 * admit it, and so does the session log, which has every wrong token.
 */
export function createRefusals({ key, log, sessionLog, counters }: RefusalsOptions): Refusals {
  const told = new Set<string>();
  return ({ code, text }, address) => {
    counters.add("turnedAway", code);
    const known = `${address} ${code}`;
    const isFirst = !told.has(known) && told.size < TOLD_AT_MOST;
    const isLogin = LOGINS.has(code);
    if (isLogin || isFirst) {
      const what = isLogin ? "login.refused" : "client.refused";
      sessionLog.record({ who: `addr:${address}`, what, details: { reason: code, address, listener: key } });
    }
    if (!isFirst) return;
    told.add(known);
    log.warn("an HTTP request was refused; said once", {
      listener: key,
      address,
      reason: code,
      advice: text,
    });
  };
}
