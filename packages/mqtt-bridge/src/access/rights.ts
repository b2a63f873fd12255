import { type Port, type Principal, recordAccessRefusal } from "@nomq/core";

/** Whether a subscription may be made: something under the filter is allowed, and every message is asked for again. */
export function mayFilter(port: Port, who: Principal, filter: string): boolean {
  if (port.extent(who, "subscribe", filter) !== "none") return true;
  recordAccessRefusal(port.sessionLog, { who, action: "subscribe", name: filter, protocol: "mqtt" });
  return false;
}
