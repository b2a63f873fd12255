import { once } from "node:events";
import { basename, relative, resolve } from "node:path";
import { type BannerOptions, banner, readyLine } from "../banner.ts";
import { createGateway, type Running } from "../gateway.ts";
import { openLog } from "../log.ts";
import { gatewayVersion } from "../version.ts";
import { endSignal } from "./end-signal.ts";
import { type Placed, placedConfig } from "./place.ts";

/** Options of `nomq gateway`. */
export interface GatewayCommandOptions {
  readonly config?: string;
  readonly data?: string;
  readonly portOffset: number;
}

/** `nomq gateway`: runs until SIGTERM or SIGINT, then drains; 0 after an orderly end. */
export async function runGateway(options: GatewayCommandOptions): Promise<number> {
  // The reader of the banner may leave (`nomq-gateway | head -1`); the gateway stays.
  process.stdout.removeAllListeners("error").on("error", () => undefined);
  const placed = placedConfig(options);
  const { config } = placed;
  await using log = openLog(config.log);
  await using gateway = createGateway({ config, log, portOffset: options.portOffset });
  const signal = endSignal();
  const running = await gateway.start();
  if (!signal.aborted) {
    process.stdout.write(
      config.log.format === "json"
        ? readyLine(running)
        : banner(running, bannerOptions(placed, options, running)),
    );
    await once(signal, "abort");
  }
  log.info("draining; a second signal ends at once");
  await gateway.stop();
  log.info("stopped");
  return 0;
}

function bannerOptions(
  { config, file }: Placed,
  options: GatewayCommandOptions,
  running: Running,
): BannerOptions {
  return {
    version: gatewayVersion(),
    command: commandHere(),
    ...(file === undefined ? {} : { configFile: resolve(file) }),
    data: config.data,
    mqttListen: config.mqtt.listen,
    place: placeHere(options, config.data === "memory" ? running.controlSocket : undefined),
  };
}

/** How this very program is called again, so that the banner's lines can be pasted. */
function commandHere(): string {
  const called = process.argv[1] ?? "";
  const name = basename(called);
  if (name === "main.ts") return "npm start -s --";
  if (process.env["npm_command"] === "exec") return "npx -p @nomq/gateway nomq";
  return name === "main.js" ? `node ${quoted(relative(process.cwd(), called))}` : "nomq";
}

/** What leads the commands to this gateway; with the defaults nothing is needed. */
function placeHere({ config, data }: GatewayCommandOptions, socket: string | undefined): string {
  if (socket !== undefined) return ` --socket ${quoted(socket)}`;
  if (data !== undefined) return ` --data ${quoted(data)}`;
  return config === undefined ? "" : ` --config ${quoted(config)}`;
}

const quoted = (text: string): string =>
  /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
