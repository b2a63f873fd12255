import type { Port, Receipt } from "@nomq/core";

/** The receipt when every outcome is final, or as it is after `timeout` milliseconds. */
export async function whenFinal(port: Port, receipt: Receipt, timeout: number): Promise<Receipt> {
  const deadline = new AbortController();
  const cancel = port.clock.after(timeout, () => deadline.abort());
  let last = receipt;
  try {
    for await (const now of port.follow(receipt.id, { signal: deadline.signal })) last = now;
  } catch (error) {
    if (!deadline.signal.aborted) throw error;
  } finally {
    cancel();
  }
  return last;
}
