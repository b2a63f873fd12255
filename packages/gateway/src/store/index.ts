export { createDurableStore, type DurableStore, type DurableStoreOptions } from "./durable-store.ts";
