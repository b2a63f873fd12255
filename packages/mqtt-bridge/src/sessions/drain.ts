import type { Clock } from "@nomq/core";
import { secondsLeft } from "../mapping.ts";
import type { SessionQueue } from "./queue.ts";
import type { QueuedPublish, QueuedPubrel } from "./session.ts";

/** What draining a queue needs of the connection it goes to. */
export interface DrainOptions {
  /** Waits until the connection has room for one more. */
  room(): Promise<void>;
  isOver(): boolean;
  /** The message has expired and will not be sent. */
  expired(brokerCounter: number | undefined): void;
  /** Nothing is left: live messages may follow, from this very turn on. */
  drained(): void;
}

/**
 * What a resumed session must be sent, in order, the queue read as it is at each step: messages that come meanwhile
 * are sent from here too, so that none overtakes an older one. Ends when nothing is left.
 */
export async function* drainQueue(
  queue: SessionQueue,
  connection: DrainOptions,
  clock: Clock,
): AsyncGenerator<QueuedPublish | QueuedPubrel> {
  let order = 0;
  let isLastOnItsWay = (): boolean => true;
  for (;;) {
    await connection.room();
    if (connection.isOver()) return;
    const entry = queue.after(order);
    if (entry === undefined) {
      if (isLastOnItsWay()) {
        connection.drained();
        return;
      }
      await new Promise((resolve) => setImmediate(resolve));
      continue;
    }
    order = entry.order;
    const { packet, messageId, sent } = entry;
    if (packet.cmd === "pubrel") {
      entry.isLeaving = true;
      isLastOnItsWay = () => !entry.isLeaving;
      yield packet;
      continue;
    }
    const timely = inTime(packet, clock);
    if (timely === undefined) {
      connection.expired(packet.brokerCounter);
      continue;
    }
    entry.isLeaving = true;
    isLastOnItsWay = () => !entry.isLeaving;
    yield { ...timely, dup: sent, messageId: messageId ?? queue.nextId() };
  }
}

/** The message with the time it has left; undefined when it has expired. aedes would ask the machine's clock. */
function inTime(packet: QueuedPublish, clock: Clock): QueuedPublish | undefined {
  const { messageExpiry, ...rest } = packet;
  if (messageExpiry === undefined) return packet;
  const msLeft = messageExpiry - clock.monotonic();
  if (msLeft <= 0) return undefined;
  return { ...rest, properties: { ...rest.properties, messageExpiryInterval: secondsLeft(msLeft) } };
}
