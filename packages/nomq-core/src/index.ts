export * from "./bridge.ts";
export * from "./clock.ts";
export * from "./errors.ts";
export * from "./hub/store.ts";
export * from "./log.ts";
export * from "./message.ts";
export * from "./principal.ts";
export * from "./transport.ts";
