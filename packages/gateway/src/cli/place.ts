import { existsSync } from "node:fs";
import { resolve } from "node:path";
import type { Config } from "../config/config.ts";
import { loadConfig } from "../config/load.ts";
import { controlSocketIn } from "../control/control-socket.ts";
import { UsageError } from "./usage-error.ts";

/** Options that say which gateway is meant. */
export interface PlaceOptions {
  readonly config?: string;
  readonly data?: string;
  readonly socket?: string;
}

/** The configuration in effect, and the file it comes from. */
export interface Placed {
  readonly config: Config;
  /** Absent: the defaults. */
  readonly file?: string;
}

/** `--config`, else `./gateway.yaml` where it exists, else the defaults; `--data` overrides the data folder. */
export function placedConfig({ config: given, data }: PlaceOptions): Placed {
  const folder = process.cwd();
  const file = given ?? (existsSync("gateway.yaml") ? "gateway.yaml" : undefined);
  const config = loadConfig(file, folder);
  const own = data === undefined ? {} : { data: data === "memory" ? data : resolve(folder, data) };
  return { config: { ...config, ...own }, ...(file === undefined ? {} : { file }) };
}

/** The control socket of the gateway that is meant. */
export function placedSocket(options: PlaceOptions): string {
  if (options.socket !== undefined) return resolve(options.socket);
  const { config } = placedConfig(options);
  if (config.data !== "memory") return controlSocketIn(config.data);
  throw new UsageError(
    "with data: memory the socket is where the gateway's banner says; give it as --socket",
  );
}
