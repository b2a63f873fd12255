export { checkStore, type StoreReport } from "./check.ts";
export {
  createDurableStore,
  type DurableStore,
  type DurableStoreOptions,
  type Recovered,
} from "./durable-store.ts";
export { exportStore } from "./export.ts";
