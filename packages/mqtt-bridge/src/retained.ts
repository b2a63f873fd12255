import type { Message, Port } from "@nomq/core";
import type { IPublishPacket } from "mqtt-packet";
import type { AedesClient } from "./aedes-internals.ts";
import type { ClientDirectory } from "./clients.ts";
import type { Ingress } from "./ingress.ts";
import type { ClientLosses } from "./losses.ts";
import { publishFromMessage } from "./mapping.ts";
import type { QueuedPublish } from "./sessions/session.ts";

/** Where retained messages come from. */
export interface RetainedSourceOptions {
  readonly port: Port;
  readonly clients: ClientDirectory;
  readonly ingress: Pick<Ingress, "uncommitted">;
  readonly losses: Pick<ClientLosses, "made">;
}

/**
 * Retained messages for a client that subscribes, read from the hub's store as fast as the client takes them. A
 * change that the hub has not committed yet comes first: other sessions have seen it already.
 */
export function createRetainedSource({
  port,
  clients,
  ingress,
  losses,
}: RetainedSourceOptions): (filters: readonly string[]) => AsyncIterable<QueuedPublish> {
  async function* read(filters: readonly string[], client: AedesClient): AsyncGenerator<QueuedPublish> {
    const front = clients.frontOf(client);
    if (front === undefined) return;
    const uncommitted = ingress.uncommitted(filters);
    try {
      for (const packet of uncommitted.values()) if (packet.payload.length > 0) yield fromPacket(packet);
      for await (const message of port.retained(filters, front.principal)) {
        await front.room();
        if (front.isOver()) return;
        if (uncommitted.has(message.channel)) continue;
        const packet = fromMessage(message, port.clock.now());
        losses.made(packet, message);
        yield packet;
      }
    } catch (error) {
      port.log.error("retained messages could not be read", { error: String(error) });
    }
  }
  return (filters) => {
    const client = clients.subscribing;
    return client === undefined ? nothing() : read(filters, client);
  };
}

async function* nothing(): AsyncGenerator<QueuedPublish> {}

function fromPacket(packet: IPublishPacket): QueuedPublish {
  const { topic, payload, qos, properties } = packet;
  return { cmd: "publish", topic, payload, qos, retain: true, dup: false, ...(properties && { properties }) };
}

function fromMessage(message: Message, now: number): QueuedPublish {
  const msLeft = message.expiresAt === undefined ? undefined : message.expiresAt - now;
  const packet = publishFromMessage(message, msLeft);
  // aedes compares with the machine's clock, not the hub's.
  const expiry = msLeft === undefined ? {} : { messageExpiry: Date.now() + msLeft };
  return { ...packet, cmd: "publish", retain: true, ...expiry };
}
