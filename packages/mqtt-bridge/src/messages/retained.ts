import type { Message, Port } from "@nomq/core";
import type { AedesClient } from "../aedes/aedes-internals.ts";
import type { ClientDirectory } from "../clients/client-directory.ts";
import type { ClientLosses } from "../losses.ts";
import { publishFromMessage } from "../mapping.ts";
import type { QueuedPublish } from "../sessions/session.ts";

/** Where retained messages come from. */
export interface RetainedSourceOptions {
  readonly port: Port;
  readonly clients: ClientDirectory;
  readonly losses: Pick<ClientLosses, "made">;
}

/** Retained messages for a client that subscribes, read from the hub's store as fast as the client takes them. */
export function createRetainedSource({
  port,
  clients,
  losses,
}: RetainedSourceOptions): (filters: readonly string[]) => AsyncIterable<QueuedPublish> {
  async function* read(filters: readonly string[], client: AedesClient): AsyncGenerator<QueuedPublish> {
    const front = clients.frontOf(client);
    if (front === undefined) return;
    try {
      for await (const message of port.retained(filters, front.principal)) {
        await front.room();
        if (front.isOver()) return;
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

function fromMessage(message: Message, now: number): QueuedPublish {
  const msLeft = message.expiresAt === undefined ? undefined : message.expiresAt - now;
  return { ...publishFromMessage(message, msLeft), cmd: "publish", retain: true };
}
