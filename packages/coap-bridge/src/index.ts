export type { ActuatorSettings, ObserveOptions, PollOptions, SendOptions } from "./client/client-options.ts";
export { type DiscoveredResource, type DiscoverOptions, discoverResources } from "./client/discover.ts";
export { sensorLines } from "./client/sensor-lines.ts";
export type { ClientCounts, Freshness, SensorState } from "./client/sensor-state.ts";
export { type CoapBridge, createCoapBridge } from "./coap-bridge.ts";
export type { CoapCounts } from "./counters.ts";
export { type CoapVariant, coapMapping } from "./mapping.ts";
export type { CoapBridgeOptions, CoapListener } from "./options.ts";
