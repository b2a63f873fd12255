export type * from "./config/config.ts";
export { type ConfigSource, loadConfig, parseConfig } from "./config/load.ts";
