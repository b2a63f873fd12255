/** What may wait for one client besides its window: then it is too slow. */
const MOST_WAITING = 10_000;
const MOST_WAITING_BYTES = 16 * 1024 * 1024;

/**
 * Messages at QoS 1 and 2 on their way to one client: at most its Receive Maximum unacknowledged (MQTT 5.0 section
 * 3.3.4), the rest in a queue of its own.
 */
export interface OutboundWindow {
  /** Sends the PUBLISH now or later. False when too many wait. */
  offer(id: number, frame: Buffer): boolean;
  /** A PUBREL of an earlier connection goes out: its id is in flight too. */
  occupy(id: number): void;
  /** PUBACK, PUBCOMP or a PUBREC of 0x80 or above has arrived. */
  release(id: number): void;
  /** Sends what has room now. */
  pump(): void;
  waiting(): number;
  /** Sent and not acknowledged. */
  inFlight(): number;
}

/** Makes a window of `limit` messages; `hasRoom` is false while the socket is behind. */
export function createOutboundWindow(
  limit: number,
  socket: { hasRoom(): boolean; send(frame: Buffer): void },
): OutboundWindow {
  const inFlight = new Set<number>();
  let queue: { readonly id: number; readonly frame: Buffer }[] = [];
  let head = 0;
  let bytes = 0;

  const pump = (): void => {
    while (head < queue.length && inFlight.size < limit && socket.hasRoom()) {
      const next = queue[head];
      // An id that is still in flight may not be used again (section 2.2.1).
      if (next === undefined || inFlight.has(next.id)) return;
      head += 1;
      bytes -= next.frame.length;
      inFlight.add(next.id);
      socket.send(next.frame);
    }
    if (head === queue.length || head > 1024) {
      queue = queue.slice(head);
      head = 0;
    }
  };

  return {
    offer(id, frame) {
      if (queue.length - head >= MOST_WAITING || bytes + frame.length > MOST_WAITING_BYTES) return false;
      queue.push({ id, frame });
      bytes += frame.length;
      pump();
      return true;
    },
    occupy: (id) => void inFlight.add(id),
    release(id) {
      if (inFlight.delete(id)) pump();
    },
    pump,
    waiting: () => queue.length - head,
    inFlight: () => inFlight.size,
  };
}
