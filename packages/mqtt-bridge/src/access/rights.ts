import type { Action, Port, Principal } from "@nomq/core";

/** Whether a subscription may be made: something under the filter is allowed, and every message is asked for again. */
export function mayFilter(port: Port, who: Principal, filter: string): boolean {
  if (port.extent(who, "subscribe", filter) !== "none") return true;
  recordRefusal(port, { who, action: "subscribe", name: filter });
  return false;
}

/** What the session log keeps of a refusal. */
export function recordRefusal(
  port: Pick<Port, "sessionLog">,
  refused: { readonly who: Principal; readonly action: Action; readonly name: string },
): void {
  const { who, action, name } = refused;
  const key = action === "publish" ? "channel" : "filter";
  const what = action === "publish" ? "publish.refused" : "subscription.refused";
  port.sessionLog.record({ who, what, details: { reason: "access", [key]: name, protocol: "mqtt" } });
}
