import type { CoapBridge, CoapCounts, SensorState } from "@nomq/coap-bridge";
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

/** The status of the bridge; one that says it is well while a sensor is stale or gone is degraded. */
export function withSensors(status: BridgeStatus, health: CoapHealth): BridgeStatus {
  const bad = health.notFresh.filter(({ state }) => state === "stale" || state === "gone");
  const [first] = bad;
  if (first === undefined || status.state !== "ready") return status;
  const { stale, gone } = health.client.sensors;
  const more = stale + gone > 1 ? ` (and ${stale + gone - 1} more)` : "";
  const why = first.reason === undefined ? "" : `: ${first.reason}`;
  const reason = `the sensor ${first.url} is ${first.state}${why}${more}`;
  return { state: "degraded", reason, since: first.since };
}
