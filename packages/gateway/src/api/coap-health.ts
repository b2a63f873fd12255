import { type CoapBridge, type CoapCounts, isTroubled, type SensorState } from "@nomq/coap-bridge";
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
  return { ...bridge.counts(), notFresh: notFreshOf(bridge.sensors()).slice(0, MOST_SENSORS) };
}

/** Those for longest first. */
const notFreshOf = (sensors: readonly SensorState[]): readonly SensorState[] =>
  sensors.filter(({ state }) => state !== "fresh").toSorted((one, other) => one.since - other.since);

/**
 * The status of the bridge; one that says it is well while a sensor is gone, or was asked in vain, is degraded. A
 * sensor that tells of changes only is stale for some seconds each time its Max-Age is over.
 */
export function withSensors(status: BridgeStatus, sensors: readonly SensorState[]): BridgeStatus {
  const bad = notFreshOf(sensors).filter(isTroubled);
  const [first] = bad;
  if (first === undefined || status.state !== "ready") return status;
  const more = bad.length > 1 ? ` (and ${bad.length - 1} more)` : "";
  const why = first.reason === undefined ? "" : `: ${first.reason}`;
  const reason = `the sensor ${first.url} is ${first.state}${why}${more}`;
  return { state: "degraded", reason, since: first.since };
}
