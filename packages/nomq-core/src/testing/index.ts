export * from "./bridge-harness.ts";
export * from "./fake-clock.ts";
export * from "./faulty-store.ts";
export * from "./memory-network.ts";
export * from "./prng.ts";
export * from "./toy-peer.ts";
