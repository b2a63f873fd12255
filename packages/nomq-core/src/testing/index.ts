export * from "./bridge-harness.ts";
export * from "./fake-clock.ts";
