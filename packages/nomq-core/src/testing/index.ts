export * from "./bridge-harness.ts";
export * from "./fake-clock.ts";
export * from "./faulty-store.ts";
export * from "./toy-peer.ts";
