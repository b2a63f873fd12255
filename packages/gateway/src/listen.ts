import { NomqError } from "@nomq/core";
import type { ListenerConfig } from "./config/config.ts";

/** Adds `offset` to the port of a listener's URL; port 0, which asks for any, stays. */
export function shifted(listener: ListenerConfig, offset: number): ListenerConfig {
  const url = listener.url.replace(/:(\d+)$/, (whole, digits: string) =>
    digits === "0" ? whole : `:${Number(digits) + offset}`,
  );
  const port = Number(/:(\d+)$/.exec(url)?.[1]);
  if (port <= 65_535) return { ...listener, url };
  throw new NomqError("config-invalid", `--port-offset ${offset} takes ${listener.url} beyond port 65535`);
}

/** Every listener's URL behind the key it stands under: `mqtt.listen[0]`, `nomq.time`. */
export type KeyedUrls = readonly (readonly [key: string, url: string])[];

/** The listeners of one section. */
export const keyedUrls = (section: string, listen: readonly ListenerConfig[]): KeyedUrls =>
  listen.map(({ url }, at) => [`${section}.listen[${at}]`, url]);

/** Says which line of the configuration a listener that failed comes from. */
export function namingTheKey(error: unknown, listeners: KeyedUrls): unknown {
  if (!(error instanceof NomqError) || !LISTENER_FAILURES.has(error.code)) return error;
  const [key, url] = listeners.find(([, each]) => error.message.includes(`${each} `)) ?? [];
  if (url === undefined) return error;
  const text = error.message.slice(error.code.length + 2);
  const advice = text.includes("(EACCES)")
    ? "; ports below 1024 need a right of their own: grant it (CAP_NET_BIND_SERVICE), or use --port-offset"
    : "; another gateway? stop it, change the key, or use --port-offset";
  // Not `new URL`: it takes no IPv6 zones.
  const port = /:(\d+)$/.exec(url)?.[1];
  return new NomqError(error.code, `${key}: port ${port}: ${text}${advice}`, { cause: error });
}

const LISTENER_FAILURES: ReadonlySet<string> = new Set(["port-in-use", "listen-failed"]);
