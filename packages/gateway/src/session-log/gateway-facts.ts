import { NomqError } from "@nomq/core";
import type { Config } from "../config/config.ts";
import type { Recovered } from "../store/index.ts";
import { gatewayVersion } from "../version.ts";
import { logFolder } from "./log-folder.ts";
import { createSessionLog, type KeptSessionLog, type SessionLogOptions } from "./session-log.ts";

/** The gateway's session log, with what the gateway records of itself. */
export interface GatewaySessionLog extends KeptSessionLog {
  /** The data folder is this gateway's alone from now on: what is recorded goes to its file. */
  opened(recovered: Recovered): void;
  started(listen: Readonly<Record<string, readonly string[]>>): void;
  failed(error: unknown): void;
  /** Also writes what waits. */
  stopped(): Promise<void>;
}

/** Makes the log of a gateway; with `data: memory` it is kept in memory only. */
export function gatewaySessionLog(
  config: Pick<Config, "data" | "durability">,
  options: Omit<SessionLogOptions, "folder">,
): GatewaySessionLog {
  const { data, durability } = config;
  const kept = createSessionLog({ ...options, ...(data === "memory" ? {} : { folder: logFolder(data) }) });
  const say = (what: string, details?: Record<string, string | number>): void =>
    kept.record({ who: "gateway", what, ...(details === undefined ? {} : { details }) });
  let isStarted = false;
  return {
    ...kept,
    [Symbol.asyncDispose]: () => kept[Symbol.asyncDispose](),
    opened(recovered) {
      kept.open();
      kept.record({ who: "store", what: "store.recovered", details: { ...recovered } });
    },
    started(listen) {
      isStarted = true;
      const where = Object.values(listen).flat().join(" ");
      say("gateway.started", { version: gatewayVersion(), data, durability, listen: where });
    },
    failed(error) {
      if (isStarted) return;
      // The code alone: what a fault says may quote what was configured.
      say("gateway.failed", { reason: error instanceof NomqError ? error.code : "unknown" });
    },
    async stopped() {
      if (isStarted) say("gateway.stopped");
      await kept[Symbol.asyncDispose]();
    },
  };
}
