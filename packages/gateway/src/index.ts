export { type ApiOptions, createApi } from "./api/api.ts";
export type { Health } from "./api/health.ts";
export type { MessageJson } from "./api/message-json.ts";
export type { PublishRequest } from "./api/publish-request.ts";
export type * from "./config/config.ts";
export { type ConfigSource, loadConfig, parseConfig } from "./config/load.ts";
export { createGateway, type Gateway, type GatewayOptions, type Running } from "./gateway.ts";
export type { KeysInEffect } from "./keys.ts";
