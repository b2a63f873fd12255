import type { Core } from "./core.ts";
import type { ReceiptRecord } from "./receipts.ts";

/** The record of a message this run does not remember, from what the store says of it. */
export function recallReceipt(core: Core, id: string): Promise<ReceiptRecord | undefined> {
  return core.receipts.recall(id, async (of) => {
    // An end on its way to the store is told by nobody any more: the record would wait for it for ever.
    await core.writer.landing();
    return core.store.receipt(of);
  });
}
