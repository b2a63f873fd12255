export { checkStore, type StoreReport } from "./check.ts";
export {
  createDurableStore,
  type DurableStore,
  type DurableStoreOptions,
  type Recovered,
} from "./durable-store.ts";
export { type ExportLine, exportStore, salvageStore } from "./export.ts";
export { type Imported, importStore } from "./import.ts";
