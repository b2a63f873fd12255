import type { AbortOptions, Attachment, Bridge, Port } from "@nomq/core";
import { NomqError, systemClock } from "@nomq/core";
import type { Broker } from "./broker.ts";
import { BROKER_ATTACHMENT, createBroker } from "./broker.ts";
import type { OpenListener } from "./listeners.ts";
import { openListener } from "./listeners.ts";
import type { MqttBridgeOptions } from "./options.ts";
import { listenerSettings } from "./options.ts";
import { createStatusBoard } from "./status.ts";

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
export function createMqttBridge(options: MqttBridgeOptions = {}): Bridge {
  const settings = listenerSettings(options);
  let attached: Attached | undefined;
  let listeners: OpenListener[] = [];
  const board = createStatusBoard(() => attached?.port.clock ?? systemClock);

  const attach = async (port: Port): Promise<void> => {
    const broker = createBroker(port);
    await broker.open();
    const attachment = await port.attach({
      name: BROKER_ATTACHMENT,
      as: "*",
      filters: ["#"],
      durable: true,
      retained: "pull",
      window: 256,
      deliver: (message, { expiresInMs }) => broker.deliver(message, expiresInMs),
    });
    attached = { port, broker, attachment };
  };

  const start = async (): Promise<void> => {
    if (attached === undefined)
      throw new NomqError("closed", "the MQTT bridge is not attached to a hub; hub.add() it");
    const { broker, port } = attached;
    try {
      for (const one of settings) {
        const events = {
          connection: broker.connect,
          refused: (reason: string, address: string) =>
            port.log.warn("MQTT client refused", { reason, address }),
        };
        listeners.push(await openListener(one, events));
      }
    } catch (error) {
      await closeListeners();
      throw error;
    }
    board.set("ready");
  };

  const closeListeners = async (): Promise<void> => {
    const open = listeners;
    listeners = [];
    await Promise.all(open.map((listener) => listener.close()));
  };

  const stop = async (): Promise<void> => {
    const current = attached;
    attached = undefined;
    const closing = closeListeners();
    await current?.broker.close();
    await current?.attachment[Symbol.asyncDispose]();
    await closing;
    board.set("closed");
  };

  return {
    name: "mqtt",
    attach,
    start,
    stop,
    status: () => board.now(),
    statusChanges: (options?: AbortOptions) => board.changes(options),
    addresses: () => listeners.map(({ address }) => address),
    [Symbol.asyncDispose]: stop,
  };
}
