export type { MqttCounts } from "./counters.ts";
export * from "./mapping.ts";
export * from "./mqtt-bridge.ts";
export type { AnonymousRule, MqttBridgeOptions, MqttListener } from "./options.ts";
export type { SessionLedgerRow } from "./sessions/ledger.ts";
export type { SlowClient } from "./slow-clients.ts";
