import type { AbortOptions, Bridge, Port } from "@nomq/core";
import { addressText, createStatusFeed, NomqError, silentLog, systemClock } from "@nomq/core";
import { createClient } from "./client/client.ts";
import type { SensorState } from "./client/sensor-state.ts";
import { type CoapCounts, createCounters } from "./counters.ts";
import { openCoapListener } from "./listen/coap-listener.ts";
import type { CoapSocket } from "./listen/coap-socket.ts";
import { createCoapLosses } from "./losses.ts";
import { createMessaging } from "./messaging/create-messaging.ts";
import type { Messaging } from "./messaging/messaging.ts";
import { type CoapBridgeOptions, type ListenerSettings, listenerSettings } from "./options.ts";
import { aboutBridge, aboutResource } from "./programs/about.ts";
import { placesOf } from "./programs/places.ts";
import { gatesOf } from "./server/admission.ts";
import { type CoapServer, openServer } from "./server/server.ts";

/** The CoAP side of a hub. */
export interface CoapBridge extends Bridge {
  /** What it has refused, dropped and lost since it was made, and what it holds now. */
  counts(): CoapCounts;
  /** Each sensor of `observe` and `poll`, and how fresh its value is. */
  sensors(): readonly SensorState[];
}

/** What a bridge holds between `attach` and `stop`. */
interface Attached {
  readonly port: Port;
  readonly server: CoapServer;
}

/** What it holds between `start` and `stop`. */
interface Open {
  readonly messaging: Messaging;
  readonly sockets: readonly CoapSocket[];
}

/**
 * Makes the CoAP side of a hub: a server whose resources are the channels, and a client of sensors and actuators.
 * Throws `config-invalid` or `not-available-yet`; opens nothing before `start`.
 */
export function createCoapBridge(options: CoapBridgeOptions = {}): CoapBridge {
  const listeners = listenerSettings(options);
  const gates = gatesOf(listeners);
  const losses = createCoapLosses(() => attached?.port.log ?? silentLog);
  const client = createClient(options, { told: losses.told });
  const counters = createCounters();
  let attached: Attached | undefined;
  let open: Open | undefined;
  let stopping: Promise<void> | undefined;
  const failing = new Map<string, string>();
  const feed = createStatusFeed(() => (attached?.port.clock ?? systemClock).now());

  const { prefix = "", resources = [], about = () => aboutBridge(feed.current()) } = options;
  const places = placesOf([aboutResource(about), ...resources], prefix);

  const say = (): void => {
    const [reason] = failing.values();
    if (open !== undefined) feed.set(reason === undefined ? "ready" : "degraded", reason);
  };
  const attach = async (port: Port): Promise<void> => {
    const server = await openServer({ port, gates, prefix, counters, losses, places });
    attached = { port, server };
    stopping = undefined;
    await client.attach(port);
  };
  const listen = ({ url, name }: ListenerSettings, { clock, log }: Port): Promise<CoapSocket> =>
    openCoapListener({
      ...{ url, name, clock, log },
      changed: (reason) => {
        if (reason === undefined) failing.delete(name);
        else failing.set(name, `${url}: ${reason}`);
        say();
      },
    });
  const openAll = async ({ port, server }: Attached): Promise<Open> => {
    const { clock, log } = port;
    const messaging = createMessaging({ clock, log, serve: server.serve });
    const sockets: CoapSocket[] = [];
    try {
      for (const settings of listeners) sockets.push(await listen(settings, port));
      // Not before all are open: nobody is answered by a bridge that does not start.
      for (const socket of sockets) messaging.listen(socket);
      server.begin(messaging);
      await client.start();
    } catch (error) {
      await closeAll({ messaging, sockets });
      throw error;
    }
    return { messaging, sockets };
  };
  const start = async ({ signal }: AbortOptions = {}): Promise<void> => {
    if (attached === undefined)
      throw new NomqError("closed", "the CoAP bridge is not attached to a hub: hub.add() it");
    if (open !== undefined) return;
    try {
      open = await openAll(attached);
      if (signal?.aborted === true) throw new NomqError("aborted", "the CoAP bridge was told not to start");
    } catch (error) {
      const opened = open;
      open = undefined;
      if (opened !== undefined) await closeAll(opened);
      feed.set("degraded", error instanceof Error ? error.message : "not started");
      throw error;
    }
    say();
  };
  const stopOnce = async (): Promise<void> => {
    const current = attached;
    // What was taken is answered before the sockets close.
    if (open !== undefined) await current?.server.drain();
    await client.stop();
    await current?.server.close();
    const opened = open;
    open = undefined;
    if (opened !== undefined) await closeAll(opened);
    feed.set("closed");
    attached = undefined;
  };
  const stop = (): Promise<void> => {
    stopping ??= stopOnce();
    return stopping;
  };

  return {
    name: "coap",
    attach,
    start,
    stop,
    status: () => feed.current(),
    statusChanges: (abort?: AbortOptions) => feed.changes(abort),
    addresses: () => (open?.sockets ?? []).map(({ local }) => `coap://${addressText(local)}`),
    counts: () => ({
      ...counters.read(),
      lost: losses.read(),
      client: client.counts(),
      ...(open && { messaging: open.messaging.counts() }),
      ...(attached && { blocks: attached.server.blocks(), observers: attached.server.observers.counts() }),
    }),
    sensors: () => client.sensors(),
    [Symbol.asyncDispose]: stop,
  };
}

async function closeAll({ messaging, sockets }: Open): Promise<void> {
  await messaging[Symbol.asyncDispose]();
  await Promise.all(sockets.map((socket) => socket[Symbol.asyncDispose]()));
}
