import type { Action, Principal } from "./principal.ts";
import type { SessionLog } from "./session-log.ts";

/** What the rules did not allow. */
export interface AccessRefusal {
  readonly who: Principal;
  readonly action: Action;
  /** The channel of a publish, the filter of a subscription. */
  readonly name: string;
  /** The bridge's: `mqtt`, `coap`. */
  readonly protocol: string;
}

/** Records it: `publish.refused` or `subscription.refused`, from which the gateway makes the advice in its log. */
export function recordAccessRefusal(sessionLog: SessionLog, refusal: AccessRefusal): void {
  const { who, action, name, protocol } = refusal;
  const key = action === "publish" ? "channel" : "filter";
  const what = action === "publish" ? "publish.refused" : "subscription.refused";
  sessionLog.record({ who, what, details: { reason: "access", [key]: name, protocol } });
}
