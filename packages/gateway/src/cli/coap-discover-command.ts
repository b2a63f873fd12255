import { discoverResources, sensorLines } from "@nomq/coap-bridge";
import { NomqError } from "@nomq/core";
import { endSignal } from "./end-signal.ts";
import { UsageError } from "./usage-error.ts";

/** Options of `nomq coap discover`. */
export interface CoapDiscoverOptions {
  readonly json?: boolean;
  /** Milliseconds. */
  readonly timeout: number;
}

/** `nomq coap discover`: 0 with at least one resource, else 1. */
export async function runCoapDiscover(
  url: string,
  { json = false, timeout }: CoapDiscoverOptions,
): Promise<number> {
  const server = url.includes("://") ? url : `coap://${url}`;
  const ended = endSignal();
  const signal = AbortSignal.any([ended, AbortSignal.timeout(timeout)]);
  process.stderr.write(`asking ${server} for its resources, for up to ${timeout / 1_000} s\n`);
  const resources = await discoverResources(server, { signal }).catch((error: unknown) => {
    const isUse = error instanceof NomqError && /^(config-invalid|not-available-yet)$/.test(error.code);
    if (isUse) throw new UsageError(error.message);
    if (ended.aborted) return undefined;
    throw error;
  });
  if (resources === undefined) {
    process.stderr.write("cancelled\n");
    return 1;
  }
  process.stderr.write(`${resources.length} ${resources.length === 1 ? "resource" : "resources"}\n`);
  if (resources.length === 0) return 1;
  const lines = resources.map((each) => `${JSON.stringify(each)}\n`).join("");
  process.stdout.write(json ? lines : sensorLines(resources));
  return 0;
}
