import type { CoapBridge } from "@nomq/coap-bridge";
import { type Bridge, type Hub, type Log, type NomqBridge, type Port, systemClock } from "@nomq/core";
import type { MqttBridge } from "@nomq/mqtt-bridge";
import type { XmppBridge } from "@nomq/xmpp-bridge";
import type { Hono } from "hono";
import { answerOf } from "./access/answer.ts";
import { type AccessControl, OWNER } from "./access/index.ts";
import type { AccessReloaded } from "./access/reload.ts";
import { createApi } from "./api/api.ts";
import { ALL_SCOPES } from "./api/caller.ts";
import { type Health, healthOf } from "./api/health.ts";
import type { ApiSources } from "./api/sources.ts";
import { createStreams, type Streams } from "./api/streams.ts";
import type { ListenerConfig } from "./config/config.ts";
import { createHttpCounters, type HttpCounters } from "./http/http-counts.ts";
import { type HttpSide, openHttp } from "./http/http-side.ts";
import { METRICS } from "./metrics/catalogue.ts";
import { exposition } from "./metrics/exposition.ts";
import type { Facts } from "./metrics/facts.ts";
import { type ProcessWatch, watchProcess } from "./metrics/process-facts.ts";
import type { KeptSessionLog } from "./session-log/session-log.ts";
import type { DurableStore } from "./store/index.ts";
import { gatewayVersion } from "./version.ts";

/** What of a gateway its API shows. */
export interface ApiSideOptions {
  readonly hub: Hub;
  readonly access: AccessControl;
  /** Undefined: in memory. */
  readonly store: DurableStore | undefined;
  readonly log: Log;
  readonly sessionLog: Pick<KeptSessionLog, "recent">;
  bridges(): readonly Bridge[];
  nomq(): NomqBridge | undefined;
  mqtt(): MqttBridge | undefined;
  coap(): CoapBridge | undefined;
  xmpp(): XmppBridge | undefined;
  reloadAccess(by: string): AccessReloaded;
  /** False while the gateway starts or stops. */
  isOpen(): boolean;
}

/** The API of a gateway, its health and its metrics, for every place that serves them. Disposing ends streams. */
export interface ApiSide extends AsyncDisposable {
  health(): Health;
  /** Product, version, and health in a few words: what `/.well-known/nomq` tells over CoAP. */
  about(): Readonly<Record<string, unknown>>;
  /** For the control socket: whoever may open it owns the gateway. */
  owners(): Hono;
  /** Opens HTTP listeners. */
  open(listen: readonly ListenerConfig[]): Promise<HttpSide>;
}

/** Makes it; nothing is opened. */
export function createApiSide(options: ApiSideOptions): ApiSide {
  return new OneApiSide(options);
}

class OneApiSide implements ApiSide {
  readonly #options: ApiSideOptions;
  readonly #port: Port;
  readonly #counters: HttpCounters = createHttpCounters();
  readonly #streams: Streams;
  #watch: ProcessWatch | undefined;

  constructor(options: ApiSideOptions) {
    this.#options = options;
    this.#port = options.hub.port("api");
    this.#streams = createStreams(this.#port);
  }

  owners(): Hono {
    return createApi({ ...this.#sources(), caller: () => ({ principal: OWNER, scopes: ALL_SCOPES }) });
  }

  async open(listen: readonly ListenerConfig[]): Promise<HttpSide> {
    const { access, log } = this.#options;
    const accounts = (): ReturnType<Parameters<typeof openHttp>[0]["accounts"]> =>
      access.isOn() ? access.accounts : undefined;
    const { clock, sessionLog } = this.#port;
    const shared = { clock, log, sessionLog, counters: this.#counters };
    return await openHttp({ listen, accounts, api: this.#sources(), ...shared });
  }

  about(): Readonly<Record<string, unknown>> {
    const { live, ready, bridges } = this.health();
    const states = Object.entries(bridges).map(([name, { state }]) => [name, state] as const);
    const health = { live, ready, bridges: Object.fromEntries(states) };
    return { product: "NoMQ Gateway", version: gatewayVersion(), health };
  }

  health(): Health {
    const { bridges, hub, isOpen, nomq, mqtt, coap, xmpp, store } = this.#options;
    return healthOf({
      isOpen,
      bridges: bridges(),
      attachments: () => hub.attachments(),
      nomq,
      mqtt,
      coap,
      xmpp,
      storeProgress: () => hub.store(),
      store,
      clock: systemClock,
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#watch?.[Symbol.dispose]();
    this.#watch = undefined;
    await this.#streams.end();
  }

  #sources(): ApiSources & { isOpen(): boolean } {
    const { hub, nomq, isOpen } = this.#options;
    // From the first place that serves it: what is measured lasts until the end.
    this.#watch ??= watchProcess();
    return {
      port: this.#port,
      streams: this.#streams,
      health: () => this.health(),
      attachments: () => hub.attachments(),
      devices: () => nomq()?.devices() ?? [],
      names: () => nomq()?.names,
      access: {
        reload: (by) => this.#options.reloadAccess(by),
        explain: (question) => answerOf(this.#options.access, question),
      },
      sessionLog: (last) => this.#options.sessionLog.recent(last),
      metrics: () => this.#metrics(),
      refused: (reason) => this.#counters.add("refused", reason.replace(/: .*$/s, "")),
      isOpen,
    };
  }

  #metrics(): string | undefined {
    const watch = this.#watch;
    if (watch === undefined) return undefined;
    const { ready, bridges, store } = this.health();
    const facts: Facts = {
      version: gatewayVersion(),
      now: systemClock.now(),
      ...{ ready, bridges, store },
      attachments: this.#options.hub.attachments(),
      streamsEnded: this.#streams.ended(),
      nomq: this.#options.nomq()?.counts(),
      mqtt: this.#options.mqtt()?.counts(),
      coap: this.#options.coap()?.counts(),
      xmpp: this.#options.xmpp()?.counts(),
      devices: this.#options.nomq()?.devices() ?? [],
      slowClients: this.#options.mqtt()?.slowClients() ?? [],
      http: this.#counters.read(this.#streams.count),
      process: watch.read(),
    };
    return exposition(METRICS, facts);
  }
}
