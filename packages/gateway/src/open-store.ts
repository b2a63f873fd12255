import { join } from "node:path";
import { createMemoryStore, type Log, NomqError, type Store } from "@nomq/core";
import type { Config } from "./config/config.ts";
import type { GatewaySessionLog } from "./session-log/gateway-facts.ts";
import { createDurableStore, type DurableStore } from "./store/index.ts";

/** Where what concerns the store is said. */
export interface StoreLogs {
  readonly log: Log;
  readonly sessionLog: GatewaySessionLog;
}

/** The store of a data folder. */
export const storeFolderIn = (data: string): string => join(data, "store");

/** The gateway's store on disk; undefined with `data: memory`. Nothing is opened before {@link recoverStore}. */
export function storeOf({ data, durability, keep }: Config, logs: StoreLogs): DurableStore | undefined {
  if (data === "memory") return undefined;
  const { history } = keep;
  const receipts = { forMs: keep.receipts };
  return createDurableStore({ folder: storeFolderIn(data), durability, history, receipts, ...logs });
}

/** The store of `data: memory`. */
export const memoryStoreOf = ({ keep }: Config): Store => createMemoryStore({ history: keep.history });

/**
 * Opens the store and says what it recovered. The store's lock tells whether a gateway runs on the folder, also while
 * that one still starts: `data-in-use` in the words of the control socket.
 */
export async function recoverStore(store: DurableStore, data: string, logs: StoreLogs): Promise<void> {
  const folder = storeFolderIn(data);
  const { log, sessionLog } = logs;
  log.info("opening the store", { folder });
  try {
    const recovered = await store.recover();
    log.info("the store is open", { folder, ...recovered });
    sessionLog.opened(recovered);
  } catch (error) {
    if (error instanceof NomqError && error.code === "data-in-use") throw inUse(data, error);
    if (error instanceof NomqError) throw error;
    throw new NomqError("store-failed", `the store in ${folder} could not be opened: ${String(error)}`, {
      cause: error,
    });
  }
}

/** A second gateway, or `nomq store`, on the folder of a gateway that runs. */
export function inUse(data: string, cause?: unknown): NomqError {
  const text = `a gateway already runs on ${data}; stop it, or give --data another folder`;
  return new NomqError("data-in-use", text, { cause });
}
