import type { Message, Outcome, Port } from "@nomq/core";
import { Aedes } from "aedes";
import type { Arrival } from "./listeners.ts";
import { draftFromPublish, publishFault, publishFromMessage } from "./mapping.ts";

/** The attachment that stands for every session of the embedded broker. */
export const BROKER_ATTACHMENT = "mqtt:broker";
/** The client id on what comes from the hub; no client can have it (MQTT 5.0 section 1.5.4 forbids NUL). */
const FROM_HUB = "\0hub";

/** The embedded broker. */
export interface Broker {
  open(): Promise<void>;
  connect(arrival: Arrival): void;
  deliver(message: Message, expiresInMs: number | undefined): Promise<Outcome>;
  close(): Promise<void>;
}

/** Makes a broker that hands every publish of its clients to the hub. */
export function createBroker(port: Port): Broker {
  const aedes = new Aedes({
    id: "nomq",
    authorizePublish: (_client, packet, done) => {
      const fault = publishFault(packet);
      done(fault === undefined ? null : new Error(fault));
    },
    published: (packet, client, done) => {
      done(null);
      if (client === null || packet.topic.startsWith("$")) return;
      port
        .publish(draftFromPublish(packet), "anonymous", { attachment: BROKER_ATTACHMENT })
        .catch((error) => {
          port.log.error("publish failed", { error: String(error) });
        });
    },
  });
  return {
    open: () => aedes.listen(),
    connect: ({ socket }) => void aedes.handle(socket),
    deliver: (message, expiresInMs) =>
      new Promise((resolve) => {
        const packet = {
          ...publishFromMessage(message, expiresInMs),
          cmd: "publish" as const,
          clientId: FROM_HUB,
        };
        aedes.publish(packet, (error) => {
          resolve(error ? { is: "retry", reason: error.message } : { is: "delivered" });
        });
      }),
    close: () => new Promise((resolve) => aedes.close(() => resolve())),
  };
}
