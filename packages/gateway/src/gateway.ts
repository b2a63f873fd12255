import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type CoapBridge, createCoapBridge } from "@nomq/coap-bridge";
import {
  type Bridge,
  createHub,
  createNomqBridge,
  type Hub,
  type Log,
  type NomqBridge,
  type NomqBridgeOptions,
  type Store,
  silentLog,
} from "@nomq/core";
import { createMqttBridge, type MqttBridge } from "@nomq/mqtt-bridge";
import { createXmppBridge, type XmppBridge } from "@nomq/xmpp-bridge";
import { adviseOnRefusals } from "./access/advice.ts";
import { type AccessControl, type AccessSettings, createAccessControl } from "./access/index.ts";
import { type AccessReloaded, type AccessReloadUse, reloadAccess } from "./access/reload.ts";
import type { Health } from "./api/health.ts";
import { type ApiSide, createApiSide } from "./api-side.ts";
import type { Config, ListenerConfig, NomqConfig } from "./config/config.ts";
import { openControlServer } from "./control/control-server.ts";
import { bytesOfKey, type KeysInEffect, keysInEffect, makeFolder } from "./keys.ts";
import { keyedUrls, namingTheKey, shifted } from "./listen.ts";
import { memoryStoreOf, recoverStore, storeOf } from "./open-store.ts";
import { type GatewaySessionLog, gatewaySessionLog } from "./session-log/gateway-facts.ts";
import type { DurableStore } from "./store/index.ts";
import { warningOf } from "./weak-keys.ts";

/** Options of {@link createGateway}. */
export interface GatewayOptions {
  readonly config: Config;
  /** Default silent. */
  readonly log?: Log;
  /** Added to every port that is not 0. Default 0. */
  readonly portOffset?: number;
  /** Reads the `access` section anew, for a reload; throws what is wrong. Absent: the gateway has no file. */
  readonly accessSource?: () => AccessSettings | undefined;
  /** Keeps what must last, instead of the store in `config.data`; closed with the gateway. */
  readonly store?: Store;
}

/** What a running gateway tells of itself. */
export interface Running {
  /** The real addresses of each bridge's listeners. */
  readonly listen: Readonly<Record<string, readonly string[]>>;
  /** Where devices may ask for the time; absent: nowhere. */
  readonly time?: string;
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
  /** Reads the `access` section again; `by` whom, for the logs. */
  reloadAccess(by: string): AccessReloaded;
}

/** Makes a gateway; nothing is opened before `start`. */
export function createGateway(options: GatewayOptions): Gateway {
  return new OneGateway(options);
}

class OneGateway implements Gateway {
  readonly #config: Config;
  readonly #log: Log;
  readonly #sessionLog: GatewaySessionLog;
  readonly #listen: Readonly<Record<"nomq" | "mqtt" | "coap" | "http", readonly ListenerConfig[]>>;
  readonly #time: string | undefined;
  readonly #store: DurableStore | undefined;
  readonly #access: AccessControl;
  readonly #reload: AccessReloadUse;
  readonly #hub: Hub;
  readonly #api: ApiSide;
  /** What to close, in the order of opening. */
  readonly #closers: (() => PromiseLike<void> | void)[] = [];
  #bridges: readonly Bridge[] = [];
  #nomq: NomqBridge | undefined;
  #mqtt: MqttBridge | undefined;
  #coap: CoapBridge | undefined;
  #xmpp: XmppBridge | undefined;
  #isOpen = false;
  #opening: Promise<Running> | undefined;
  #ending: Promise<void> | undefined;

  constructor(options: GatewayOptions) {
    const { config, log = silentLog, portOffset = 0, accessSource, store } = options;
    this.#config = config;
    this.#log = log;
    this.#listen = {
      nomq: config.nomq.listen.map((each) => shifted(each, portOffset)),
      mqtt: config.mqtt.listen.map((each) => shifted(each, portOffset)),
      coap: config.coap.listen.map((each) => shifted(each, portOffset)),
      http: config.http.listen.map((each) => shifted(each, portOffset)),
    };
    const { time } = config.nomq;
    this.#time = time === undefined ? undefined : shifted({ url: time }, portOffset).url;
    this.#sessionLog = gatewaySessionLog(config, { log });
    const sessionLog = this.#sessionLog;
    this.#store = store === undefined ? storeOf(config, { log, sessionLog }) : undefined;
    this.#access = createAccessControl(config.access);
    const control = this.#access;
    this.#reload = { control, source: accessSource, log, sessionLog };
    this.#hub = createHub({
      log,
      sessionLog: adviseOnRefusals({ log, sessionLog, control }),
      access: this.#access,
      channels: config.nomq.channels.map(({ name }) => name),
      store: store ?? this.#store ?? memoryStoreOf(config),
    });
    this.#api = createApiSide({
      ...{ hub: this.#hub, access: this.#access, store: this.#store, log, sessionLog },
      bridges: () => this.#bridges,
      nomq: () => this.#nomq,
      mqtt: () => this.#mqtt,
      coap: () => this.#coap,
      xmpp: () => this.#xmpp,
      reloadAccess: (by) => this.reloadAccess(by),
      isOpen: () => this.#isOpen,
    });
  }

  async start(): Promise<Running> {
    this.#opening ??= this.#open();
    try {
      return await this.#opening;
    } catch (error) {
      this.#sessionLog.failed(error);
      await this.stop();
      const listeners = Object.entries(this.#listen).flatMap(([name, listen]) => keyedUrls(name, listen));
      const time = this.#time === undefined ? [] : [["nomq.time", this.#time] as const];
      throw namingTheKey(error, [...listeners, ...time]);
    }
  }

  stop(): Promise<void> {
    this.#ending ??= this.#close();
    return this.#ending;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  health(): Health {
    return this.#api.health();
  }

  reloadAccess(by: string): AccessReloaded {
    return reloadAccess(this.#reload, by);
  }

  async #open(): Promise<Running> {
    const folder = dataFolder(this.#config.data, this.#closers);
    const store = this.#store;
    if (store !== undefined) this.#closers.push(() => store[Symbol.asyncDispose]());
    this.#closers.push(() => this.#sessionLog.stopped());
    if (store !== undefined) {
      // Before anything else: its lock tells whether a gateway runs on this folder already.
      await recoverStore(store, this.#config.data, { log: this.#log, sessionLog: this.#sessionLog });
    }
    this.#closers.push(() => this.#hub[Symbol.asyncDispose]());
    const control = await openControlServer(folder, this.#api.owners());
    this.#closers.push(() => control[Symbol.asyncDispose]());
    // Open from now on for whoever watches; messages are taken once the hub has started.
    const http = await this.#api.open(this.#listen.http);
    this.#closers.push(() => http[Symbol.asyncDispose]());
    this.#closers.push(() => this.#api[Symbol.asyncDispose]());
    const keys = keysInEffect(this.#config.nomq.keys, this.#config.data);
    for (const key of keys.keys) {
      const warning = warningOf(key);
      if (warning !== undefined) this.#log.warn(`a NoMQ key ${warning}`, { key: key.id });
    }
    this.#makeBridges(keys);
    for (const bridge of this.#bridges) this.#hub.add(bridge);
    await this.#hub.start();
    this.#isOpen = true;
    const served = http.addresses.length === 0 ? {} : { http: http.addresses };
    const listen = { ...addressesOf(this.#bridges), ...served };
    this.#sessionLog.started(listen);
    const time = this.#nomq?.timeAddress();
    return {
      listen,
      ...(time === undefined ? {} : { time }),
      controlSocket: control.path,
      keys,
    };
  }

  /** A section that asks for nothing, neither listeners nor connections, has no bridge. */
  #makeBridges(keys: KeysInEffect): void {
    const { nomq, mqtt, coap } = this.#listen;
    if (nomq.length > 0) {
      const time = this.#time === undefined ? {} : { time: this.#time };
      this.#nomq = createNomqBridge(nomqOptions({ ...this.#config.nomq, listen: nomq, ...time }, keys));
    }
    if (mqtt.length > 0)
      this.#mqtt = createMqttBridge({ listen: mqtt, authenticate: this.#access.authenticate });
    const { observe, poll, send } = this.#config.coap;
    if ([coap, observe, poll, send].some(({ length }) => length > 0))
      this.#coap = createCoapBridge({ ...this.#config.coap, listen: coap, about: () => this.#api.about() });
    const { xmpp } = this.#config;
    if (xmpp !== undefined) this.#xmpp = createXmppBridge(xmpp);
    this.#bridges = [this.#nomq, this.#mqtt, this.#coap, this.#xmpp].filter((bridge) => bridge !== undefined);
  }

  async #close(): Promise<void> {
    // A start under way ends first: what it opened is closed below.
    await this.#opening?.catch(() => undefined);
    this.#isOpen = false;
    for (const closer of this.#closers.reverse()) await closer();
  }
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
  return {
    listen: nomq.listen,
    keys: keys.map(bytesOfKey),
    channels: nomq.channels,
    devices: nomq.devices,
    broadcast: nomq.broadcast,
    broadcastFilters: nomq.broadcastFilters,
    pace: nomq.pace,
    probe: nomq.probe,
    ...(nomq.time === undefined ? {} : { time: nomq.time }),
  };
}

/** XMPP has none: it is a client only. */
const addressesOf = (bridges: readonly Bridge[]): Readonly<Record<string, readonly string[]>> =>
  Object.fromEntries(
    bridges.filter(({ name }) => name !== "xmpp").map((bridge) => [bridge.name, bridge.addresses()]),
  );
