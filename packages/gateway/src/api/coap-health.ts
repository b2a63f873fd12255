import { type CoapBridge, type CoapCounts, NOT_IN_TIME, type SensorState } from "@nomq/coap-bridge";
import type { BridgeStatus } from "@nomq/core";

/** Sensors that are named; the counts have all. */
const MOST_SENSORS = 100;

/** How the CoAP side does: what it refused, its observers, its sensors by state. */
export interface CoapHealth extends CoapCounts {
  /** Sensors that are waiting, stale or gone, those for longest first, at most 100. */
  readonly notFresh: readonly SensorState[];
}

/** The CoAP side now. */
export function coapHealthOf(bridge: Pick<CoapBridge, "counts" | "sensors">): CoapHealth {
  const notFresh = bridge
    .sensors()
    .filter(({ state }) => state !== "fresh")
    .toSorted((one, other) => one.since - other.since)
    .slice(0, MOST_SENSORS);
  return { ...bridge.counts(), notFresh };
}

/**
 * The status of the bridge; one that says it is well while a sensor is gone, or stale and asked in vain, is degraded. A
 * sensor that tells of changes only is stale for some seconds each time its Max-Age is over.
 */
export function withSensors(status: BridgeStatus, health: CoapHealth): BridgeStatus {
  const bad = health.notFresh.filter(
    ({ state, reason }) => state === "gone" || (state === "stale" && reason !== NOT_IN_TIME),
  );
  const [first] = bad;
  if (first === undefined || status.state !== "ready") return status;
  const more = bad.length > 1 ? ` (and ${bad.length - 1} more)` : "";
  const why = first.reason === undefined ? "" : `: ${first.reason}`;
  const reason = `the sensor ${first.url} is ${first.state}${why}${more}`;
  return { state: "degraded", reason, since: first.since };
}
