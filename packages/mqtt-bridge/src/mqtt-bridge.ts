import type { AbortOptions, Attachment, Bridge, MappingLoss, Port } from "@nomq/core";
import { anonymousCheck, createStatusFeed, NomqError, systemClock } from "@nomq/core";
import { createEntrance } from "./access/login.ts";
import { createMqttRefusalLog } from "./access/refusal-log.ts";
import type { Broker } from "./broker/broker.ts";
import { createBroker } from "./broker/broker.ts";
import { createClientRecords } from "./clients/client-records.ts";
import type { SlowClient } from "./clients/slow-clients.ts";
import type { MqttCounts } from "./counters.ts";
import { createCounters } from "./counters.ts";
import type { Arrival } from "./listen/arrival.ts";
import type { OpenListener } from "./listen/listeners.ts";
import { openListener } from "./listen/listeners.ts";
import { BROKER_ATTACHMENT } from "./messages/ingress.ts";
import type { MqttBridgeOptions } from "./options.ts";
import { listenerSettings } from "./options.ts";
import { sessionBounds } from "./session-limits.ts";
import type { SessionLedgerRow } from "./sessions/ledger.ts";

/** The MQTT side of a hub. */
export interface MqttBridge extends Bridge {
  /** What it has refused, dropped and cut since it was made. */
  counts(): MqttCounts;
  /** Clients that are connected and take nothing of what they are sent; those for longest first, at most 100. */
  slowClients(): readonly SlowClient[];
}

/** Calls of `deliver` open at once. Sessions have queues of their own, so each is short. */
const WINDOW = 256;
/** How long a stop waits for publishes that the hub has not answered. */
const GRACE_MS = 5_000;

const NO_SESSIONS: SessionLedgerRow = {
  ...{ accepted: 0, delivered: 0, expired: 0, refused: 0, dropped: {}, pending: 0 },
};

/** What a bridge holds between `attach` and `stop`. */
interface Attached {
  readonly port: Port;
  readonly broker: Broker;
  readonly attachment: Attachment;
}

/**
 * Makes the MQTT side of a hub: an embedded broker for MQTT 3.1.1 and 5 clients over TCP and WebSocket.
 * Throws `config-invalid` or `not-available-yet`; opens nothing before `start`.
 */
export function createMqttBridge(options: MqttBridgeOptions = {}): MqttBridge {
  const listeners = listenerSettings(options).map((settings, at) => ({
    settings,
    enter: createEntrance(anonymousCheck(settings.anonymous, `mqtt.listen[${at}]`), options.authenticate),
  }));
  const bounds = sessionBounds(options.sessions);
  const counters = createCounters();
  let attached: Attached | undefined;
  let lost: () => readonly MappingLoss[] = () => [];
  let open: OpenListener[] = [];
  let stopping: Promise<void> | undefined;
  const feed = createStatusFeed(() => (attached?.port.clock ?? systemClock).now());

  const attach = async (port: Port): Promise<void> => {
    const refusals = createMqttRefusalLog(port.log);
    const records = createClientRecords(port.sessionLog);
    const refused = (reason: string, { address, listener }: Arrival, who?: string): void => {
      const client = { address, listener, ...(who === undefined ? {} : { who }) };
      refusals.say(reason, client);
      records.refused(reason, client);
    };
    const broker = await createBroker({ port, counters, records, refused, bounds });
    const attachment = await port.attach({
      name: BROKER_ATTACHMENT,
      as: "*",
      // What the sessions that have lasted want, and no more: others have gone with the last run.
      filters: broker.filters(),
      durable: true,
      retained: "pull",
      // Nothing the hub sends into the broker comes back from it: what does come is a client's own word.
      echoes: false,
      window: WINDOW,
      deliver: (message, { expiresInMs }) => broker.deliver(message, expiresInMs),
    });
    attached = { port, broker, attachment };
    lost = broker.lost;
    stopping = undefined;
    await broker.open(attachment);
  };

  /** Publishes under way are answered, unless the hub does not. */
  const drain = async ({ broker, port }: Attached): Promise<void> => {
    const grace = Promise.withResolvers<void>();
    const cancel = port.clock.after(GRACE_MS, grace.resolve);
    await Promise.race([broker.idle(), grace.promise]);
    cancel();
  };
  const openAll = async ({ broker, port }: Attached): Promise<void> => {
    const refusals = createMqttRefusalLog(port.log);
    const records = createClientRecords(port.sessionLog);
    for (const { settings, enter } of listeners) {
      const one = await openListener(settings, {
        connection: (arrival) => broker.connect(arrival, enter),
        refused: (reason, address) => {
          counters.add("clientsRefused", reason);
          refusals.say(reason, { address, listener: settings });
          records.refused(reason, { address, listener: settings });
        },
      });
      open.push(one);
    }
  };
  const start = async ({ signal }: AbortOptions = {}): Promise<void> => {
    if (attached === undefined)
      throw new NomqError("closed", "the MQTT bridge is not attached to a hub: hub.add() it");
    if (open.length > 0) return;
    try {
      await openAll(attached);
      if (signal?.aborted === true) throw new NomqError("aborted", "the MQTT bridge was told not to start");
    } catch (error) {
      await destroyListeners();
      feed.set("degraded", error instanceof Error ? error.message : "not started");
      throw error;
    }
    attached.broker.begin();
    feed.set("ready");
  };
  const destroyListeners = async (): Promise<void> => {
    const ending = open;
    open = [];
    await Promise.all(ending.map((listener) => listener.destroy()));
  };
  const stopOnce = async (): Promise<void> => {
    const current = attached;
    for (const listener of open) listener.close();
    if (current !== undefined) {
      // Both ways end before the sessions do.
      await Promise.all([drain(current), current.attachment[Symbol.asyncDispose]()]);
      await current.broker.close();
    }
    await destroyListeners();
    feed.set("closed");
    attached = undefined;
  };
  const stop = (): Promise<void> => {
    stopping ??= stopOnce();
    return stopping;
  };

  return {
    name: "mqtt",
    attach,
    start,
    stop,
    status: () => feed.current(),
    statusChanges: (abort?: AbortOptions) => feed.changes(abort),
    addresses: () => open.map(({ address }) => address),
    counts: () => ({
      ...counters.read(),
      lost: lost(),
      sessions: attached?.broker.ledger() ?? NO_SESSIONS,
      slowClients: attached?.broker.slow.count() ?? 0,
    }),
    slowClients: () => attached?.broker.slow.list() ?? [],
    [Symbol.asyncDispose]: stop,
  };
}
