export type { ActuatorSettings, ObserveOptions, PollOptions, SendOptions } from "./client/client-options.ts";
export { type DiscoveredResource, type DiscoverOptions, discoverResources } from "./client/discover.ts";
export { sensorLines } from "./client/sensor-lines.ts";
export {
  type ClientCounts,
  type Freshness,
  NO_ANSWER_YET,
  NOT_IN_TIME,
  type SensorState,
} from "./client/sensor-state.ts";
export { type CoapBridge, createCoapBridge } from "./coap-bridge.ts";
export type { CoapCounts } from "./counters.ts";
export { type CoapVariant, coapMapping } from "./mapping.ts";
export type { CoapBridgeOptions, CoapListener } from "./options.ts";
export type { About } from "./programs/about.ts";
export type { Asker, CoapResource, HandleRequest } from "./programs/coap-resource.ts";
