import { isValidFilter } from "@nomq/core";
import { createControlClient } from "../control/control-client.ts";
import { endSignal } from "./end-signal.ts";
import { messageLine } from "./message-line.ts";
import type { SubOptions } from "./options.ts";
import { placedSocket } from "./place.ts";
import { UsageError } from "./usage-error.ts";

/** `nomq sub`: 0 when ended by `--count` or a signal, 1 when the gateway ends first. */
export async function runSub(filters: readonly string[], options: SubOptions): Promise<number> {
  const invalid = filters.find((filter) => !isValidFilter(filter));
  if (invalid !== undefined)
    throw new UsageError(`${invalid} is no filter: + is one whole level, # the last`);
  const signal = endSignal();
  if (options.nomq !== undefined) {
    const { subscribeAtPeer } = await import("./peer.ts");
    return subscribeAtPeer(options.nomq, { filters, options, signal });
  }
  let left = options.count ?? Number.POSITIVE_INFINITY;
  const client = createControlClient(placedSocket(options));
  for await (const event of client.stream({ filters, retained: options.retained, signal })) {
    if (event.event === "ready") {
      process.stderr.write(`subscribed to ${filters.join(" ")}\n`);
      continue;
    }
    process.stdout.write(messageLine(event.message, options.json === true));
    left -= 1;
    if (left === 0) break;
  }
  return 0;
}
