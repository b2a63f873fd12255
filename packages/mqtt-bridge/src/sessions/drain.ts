import type { QueuedPublish, QueuedPubrel, SessionQueue } from "./session.ts";

/** What draining a queue needs of the connection it goes to. */
export interface DrainOptions {
  /** Waits until the connection has room for one more. */
  room(): Promise<void>;
  isOver(): boolean;
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
    entry.isLeaving = true;
    isLastOnItsWay = () => !entry.isLeaving;
    if (packet.cmd === "pubrel") yield packet;
    else yield { ...packet, dup: sent, ...(messageId !== undefined && { messageId }) };
  }
}
