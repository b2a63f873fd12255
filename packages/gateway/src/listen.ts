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

/** The sections that have listeners, and those listeners. */
export type ListenSections = Readonly<Record<"nomq" | "mqtt", readonly ListenerConfig[]>>;

/** Says which line of the configuration a listener that failed comes from: `mqtt.listen[0]`. */
export function namingTheKey(error: unknown, sections: ListenSections): unknown {
  if (!(error instanceof NomqError) || !LISTENER_FAILURES.has(error.code)) return error;
  for (const [section, listeners] of Object.entries(sections)) {
    const at = listeners.findIndex(({ url }) => error.message.includes(`${url} `));
    if (at === -1) continue;
    const text = error.message.slice(error.code.length + 2);
    const { port } = new URL(listeners[at]?.url ?? "");
    const advice = "; another gateway? stop it, change the key, or use --port-offset";
    return new NomqError(error.code, `${section}.listen[${at}]: port ${port}: ${text}${advice}`, {
      cause: error,
    });
  }
  return error;
}

const LISTENER_FAILURES: ReadonlySet<string> = new Set(["port-in-use", "listen-failed"]);
