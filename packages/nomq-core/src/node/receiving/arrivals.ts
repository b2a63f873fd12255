import type { IncomingMessage, MessagesOptions, Verdict } from "../contract.ts";

/** The readers of a node's messages, for those who would rather iterate than be called. */
export interface Arrivals {
  /** Offers a message to every reader of its channel; resolves when they have taken it, or left. */
  hand(message: IncomingMessage): Promise<Verdict>;
  messages(options?: MessagesOptions): AsyncIterable<IncomingMessage>;
  /** Readers that iterate now. */
  readonly readers: number;
  /** Ends every iteration. */
  stop(): void;
}

const DEFAULT_QUEUE = 256;
const refused = (reason: string): Verdict => ({ is: "refused", reason });

interface Waiting {
  readonly message: IncomingMessage;
  readonly settle: (taken: boolean) => void;
}

interface Reader {
  readonly queue: Waiting[];
  readonly most: number;
  readonly channels: ReadonlySet<string> | undefined;
  wake: () => void;
}

/** Makes a table without readers. */
export function createArrivals(): Arrivals {
  const readers = new Set<Reader>();
  let stopped = false;

  const offer = (reader: Reader, message: IncomingMessage): Promise<boolean> =>
    new Promise((settle) => {
      reader.queue.push({ message, settle });
      reader.wake();
    });
  async function* messages(options: MessagesOptions = {}): AsyncGenerator<IncomingMessage, void, undefined> {
    const { signal, channels, queue = DEFAULT_QUEUE } = options;
    const most = Math.max(1, Math.floor(queue));
    const wanted = channels === undefined ? undefined : new Set(channels);
    const reader: Reader = { queue: [], most, channels: wanted, wake: () => undefined };
    const wake = (): void => reader.wake();
    signal?.addEventListener("abort", wake, { once: true });
    readers.add(reader);
    try {
      while (signal?.aborted !== true && !stopped) {
        const next = reader.queue.shift();
        if (next !== undefined) {
          next.settle(true);
          yield next.message;
          continue;
        }
        const { promise, resolve } = Promise.withResolvers<void>();
        reader.wake = resolve;
        await promise;
      }
    } finally {
      readers.delete(reader);
      signal?.removeEventListener("abort", wake);
      for (const { settle } of reader.queue) settle(false);
    }
  }

  return {
    async hand(message) {
      const wanting = [...readers].filter(({ channels }) => channels?.has(message.channel) ?? true);
      if (wanting.length === 0) return refused("no-receiver");
      const free = wanting.filter(({ queue, most }) => queue.length < most);
      // All or none: a message that comes again would come twice to those who have it.
      if (free.length === 0 || (message.qos > 0 && free.length < wanting.length))
        return refused("queue-full");
      if (message.qos === 0) {
        // Nobody waits to hear that it was read; a message that counted as being handed would take the place of others'.
        for (const reader of free) void offer(reader, message);
        return { is: "accepted" };
      }
      const taken = await Promise.all(free.map((reader) => offer(reader, message)));
      return taken.includes(true) ? { is: "accepted" } : refused("no-receiver");
    },
    messages,
    get readers() {
      return readers.size;
    },
    stop() {
      stopped = true;
      for (const reader of readers) reader.wake();
    },
  };
}
