import { once } from "node:events";
import { resolve } from "node:path";
import { type BannerOptions, banner, readyLine } from "../banner.ts";
import { loadConfig } from "../config/load.ts";
import { createGateway, type Running } from "../gateway.ts";
import { openLog } from "../log.ts";
import { gatewayVersion } from "../version.ts";
import { commandHere, placeHere } from "./called-as.ts";
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
  const folder = process.cwd();
  const { config } = placed;
  await using log = openLog(config.log);
  const { file } = placed;
  await using gateway = createGateway({
    config,
    log,
    portOffset: options.portOffset,
    // Relative paths start where they started at first.
    ...(file === undefined ? {} : { accessSource: () => loadConfig(file, folder).access }),
  });
  const signal = endSignal();
  process.on("SIGHUP", () => void gateway.reloadAccess("SIGHUP"));
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
    coapListen: config.coap.listen,
    httpListen: config.http.listen,
    ...(config.xmpp === undefined ? {} : { xmpp: config.xmpp }),
    ...(config.access === undefined ? {} : { access: config.access }),
    place: placeHere(config.data === "memory" ? { socket: running.controlSocket } : options),
  };
}
