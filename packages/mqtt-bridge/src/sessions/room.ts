import { createRanking, type Ranked, type Ranking } from "./ranking.ts";

/** A number of messages, and of their bytes: topics, payloads and properties. */
export interface QueueBound {
  readonly messages: number;
  readonly bytes: number;
}

/** One queue among all. */
export interface Seat {
  /** What of the queue may be dropped: not what is on its way under a packet id. */
  waits(messages: number, bytes: number): void;
  /** One message more, or one less, is in it, dropped or not. */
  entered(): void;
  left(): void;
}

/**
 * What the queues of all sessions may hold together. At the bound the session that holds most of what is short loses
 * its oldest message: whoever is away for long makes room for the others.
 */
export interface Room {
  /** `drop` drops the queue's oldest message that may be dropped. */
  seat(drop: () => void): Seat;
  /** Makes room for one message more, of a body that may be held already; false when there is none. */
  make(body: { readonly bytes: number; isHeld(): boolean }): boolean;
  /** Bytes of a message's body, counted once however many queues have it; negative when it goes. */
  hold(bytes: number): void;
  /** Drops up to so many messages where an earlier run had a wider bound; false when nothing is above it. */
  trim(most: number): boolean;
  /** What is held now. */
  held(): QueueBound;
}

interface Place extends Ranked {
  readonly drop: () => void;
}

const NOTHING: QueueBound = { messages: 0, bytes: 0 };

/** Makes room for so much. */
export function createRoom(bound: QueueBound): Room {
  const byMessages = createRanking<Place>();
  const byBytes = createRanking<Place>();
  let messages = 0;
  let bytes = 0;

  /** Who must give way so that so much more fits. */
  const shortOf = (more: QueueBound): Ranking<Place> | undefined => {
    if (messages + more.messages > bound.messages) return byMessages;
    return bytes + more.bytes > bound.bytes ? byBytes : undefined;
  };
  return {
    seat(drop) {
      const inMessages: Place = { drop, weight: 0, at: undefined };
      const inBytes: Place = { ...inMessages };
      return {
        waits(count, size) {
          byMessages.weigh(inMessages, count);
          byBytes.weigh(inBytes, size);
        },
        entered() {
          messages += 1;
        },
        left() {
          messages -= 1;
        },
      };
    },
    make(body) {
      if (body.bytes > bound.bytes) return false;
      const next = (): Ranking<Place> | undefined =>
        shortOf({ messages: 1, bytes: body.isHeld() ? 0 : body.bytes });
      for (let short = next(); short !== undefined; short = next()) {
        const before = messages;
        short.first()?.drop();
        // All that is left is on its way.
        if (messages === before) return false;
      }
      return true;
    },
    hold(more) {
      bytes += more;
    },
    trim(most) {
      let short = shortOf(NOTHING);
      for (let dropped = 0; short !== undefined && dropped < most; dropped += 1) {
        const before = messages;
        short.first()?.drop();
        if (messages === before) return false;
        short = shortOf(NOTHING);
      }
      return short !== undefined;
    },
    held: () => ({ messages, bytes }),
  };
}
