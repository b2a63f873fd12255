import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type Bridge,
  createHub,
  createNomqBridge,
  type Hub,
  type Log,
  type NomqBridge,
  type NomqBridgeOptions,
  silentLog,
} from "@nomq/core";
import { createMqttBridge } from "@nomq/mqtt-bridge";
import { createApi } from "./api/api.ts";
import { type Health, healthOf } from "./api/health.ts";
import type { Config, ListenerConfig, NomqConfig } from "./config/config.ts";
import { openControlServer } from "./control/control-server.ts";
import { bytesOfKey, type KeysInEffect, keysInEffect, makeFolder } from "./keys.ts";
import { namingTheKey, shifted } from "./listen.ts";

/** Options of {@link createGateway}. */
export interface GatewayOptions {
  readonly config: Config;
  /** Default silent. */
  readonly log?: Log;
  /** Added to every port that is not 0. Default 0. */
  readonly portOffset?: number;
}

/** What a running gateway tells of itself. */
export interface Running {
  /** The real addresses of each bridge's listeners. */
  readonly listen: Readonly<Record<string, readonly string[]>>;
  readonly controlSocket: string;
  readonly keys: KeysInEffect;
}

/** The gateway: hub, bridges and control socket made from one configuration. Disposing stops it. */
export interface Gateway extends AsyncDisposable {
  /**
   * Opens everything, or nothing: when one part fails, the others are closed again before it rejects, with
   * {@link NomqError} `port-in-use` (naming port and key), `listen-failed`, `data-in-use`, `key-invalid`, ….
   */
  start(): Promise<Running>;
  /** Drains and closes; idempotent, also after a failed start. */
  stop(): Promise<void>;
  health(): Health;
}

/** The principal of the control socket: whoever may open it owns the gateway. */
const OWNER = "token:control";

/** Makes a gateway; nothing is opened before `start`. */
export function createGateway(options: GatewayOptions): Gateway {
  const { config, log = silentLog, portOffset = 0 } = options;
  const closers: (() => PromiseLike<void> | void)[] = [];
  let bridges: readonly Bridge[] = [];
  let hub: Hub | undefined;
  let nomq: NomqBridge | undefined;
  let ending: Promise<void> | undefined;

  const health = (): Health =>
    healthOf({
      bridges,
      attachments: () => hub?.attachments() ?? [],
      nomq: () => nomq?.counts(),
    });

  const open = async (): Promise<Running> => {
    const listen = shiftedSections(config, portOffset);
    const folder = dataFolder(config.data, closers);
    const made = createHub({ log });
    hub = made;
    closers.push(() => made[Symbol.asyncDispose]());
    const app = createApi({
      port: made.port("api"),
      principal: () => OWNER,
      health,
      attachments: () => made.attachments(),
    });
    // First of all: it tells whether a gateway runs on this folder already.
    const control = await openControlServer(folder, app);
    closers.push(() => control[Symbol.asyncDispose]());
    const keys = keysInEffect(config.nomq.keys, config.data);
    if (listen.nomq.length > 0)
      nomq = createNomqBridge(nomqOptions({ ...config.nomq, listen: listen.nomq }, keys));
    const mqtt = listen.mqtt.length > 0 ? createMqttBridge({ listen: listen.mqtt }) : undefined;
    bridges = [nomq, mqtt].filter((bridge) => bridge !== undefined);
    for (const bridge of bridges) made.add(bridge);
    try {
      await made.start();
    } catch (error) {
      throw namingTheKey(error, listen);
    }
    return { listen: addressesOf(bridges), controlSocket: control.path, keys };
  };
  const close = async (): Promise<void> => {
    for (const closer of closers.reverse()) await closer();
  };
  const stop = (): Promise<void> => {
    ending ??= close();
    return ending;
  };

  return {
    async start() {
      try {
        return await open();
      } catch (error) {
        await stop();
        throw error;
      }
    },
    stop,
    health,
    [Symbol.asyncDispose]: stop,
  };
}

/** Every listener of the file, at its port. */
function shiftedSections(
  { nomq, mqtt }: Config,
  offset: number,
): Readonly<Record<"nomq" | "mqtt", readonly ListenerConfig[]>> {
  return {
    nomq: nomq.listen.map((each) => shifted(each, offset)),
    mqtt: mqtt.listen.map((each) => shifted(each, offset)),
  };
}

/** The data folder; with `memory` a new one of our own, removed at the end. */
function dataFolder(data: string, closers: (() => void)[]): string {
  if (data !== "memory") {
    makeFolder(data);
    return data;
  }
  const folder = mkdtempSync(join(tmpdir(), "nomq-"));
  closers.push(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

function nomqOptions(nomq: NomqConfig, { keys }: KeysInEffect): NomqBridgeOptions {
  const [first] = nomq.listen;
  return {
    listen: nomq.listen.map(({ url }) => url),
    keys: keys.map(bytesOfKey),
    channels: nomq.channels,
    devices: nomq.devices,
    pace: nomq.pace,
    ...(first?.ack === undefined ? {} : { ack: first.ack }),
    ...(first?.ackTimeout === undefined ? {} : { ackTimeout: first.ackTimeout }),
  };
}

const addressesOf = (bridges: readonly Bridge[]): Readonly<Record<string, readonly string[]>> =>
  Object.fromEntries(bridges.map((bridge) => [bridge.name, bridge.addresses()]));
