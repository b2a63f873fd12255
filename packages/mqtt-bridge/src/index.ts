export type { SlowClient } from "./clients/slow-clients.ts";
export type { MqttCounts } from "./counters.ts";
export * from "./mapping.ts";
export * from "./mqtt-bridge.ts";
export type { MqttBridgeOptions, MqttListener } from "./options.ts";
export type { SessionLimits } from "./session-limits.ts";
export type { SessionLedgerRow } from "./sessions/ledger.ts";
