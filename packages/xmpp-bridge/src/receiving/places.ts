import { AgedMap } from "@nomq/core";
import type { NodeMemory } from "./node-memory.ts";
import type { Place, Work } from "./place.ts";
import type { Tally } from "./tally.ts";

/** Notifications that wait on one node, and on all: then its history is read when the hub has caught up. */
const MOST_WAITING_ON_ONE = 2_000;
const MOST_WAITING = 50_000;

/** What places need. */
export interface PlacesOptions {
  readonly tally: Tally;
  readonly signal: AbortSignal;
  make(memory: NodeMemory, isNew: boolean): Place;
  /** Does one thing. Never rejects. */
  work(place: Place, work: Work): Promise<void>;
}

/** The nodes that we read, each with its own order. */
export interface Places {
  get(node: string): Place | undefined;
  add(memory: NodeMemory, isNew: boolean): Place;
  /** What waits there is for nothing. */
  end(place: Place): void;
  all(): Iterable<Place>;
  /** Queues it behind what waits. */
  push(place: Place, work: Work): void;
  /** Queued notifications. */
  waiting(): number;
  /** Resolves when nothing is under way. */
  rest(): Promise<void>;
}

/** Makes it, without any. */
export function createPlaces({ make, signal, tally, work }: PlacesOptions): Places {
  const places = new AgedMap<string, Place>();
  const running = new Set<Promise<void>>();
  let waiting = 0;

  const run = async (place: Place): Promise<void> => {
    while (!signal.aborted && !place.isEnded) {
      const next = place.queue.shift();
      if (next === undefined) break;
      if (next.is === "event") waiting -= 1;
      await work(place, next);
      if (next.is === "catch-up") place.catchUps -= 1;
    }
    place.isBusy = false;
  };
  const start = (place: Place): void => {
    if (place.isBusy || place.queue.length === 0 || place.isEnded || signal.aborted) return;
    place.isBusy = true;
    const done = run(place).finally(() => {
      running.delete(done);
      // Between its last look at the queue and now something may have come.
      start(place);
    });
    running.add(done);
  };
  const overflow = (place: Place): void => {
    const dropped = place.queue.filter((each) => each.is === "event").length;
    waiting -= dropped;
    tally.add("overflowed", dropped + 1);
    place.catchUps -= place.queue.filter((each) => each.is === "catch-up").length;
    place.queue.splice(0, place.queue.length, { is: "catch-up" });
    place.catchUps += 1;
  };

  return {
    get: (node) => places.get(node),
    add(memory, isNew) {
      const place = make(memory, isNew);
      places.set(place.node, place);
      return place;
    },
    end(place) {
      place.isEnded = true;
      waiting -= place.queue.filter((each) => each.is === "event").length;
      place.queue.length = 0;
      if (places.get(place.node) === place) places.delete(place.node);
    },
    all: () => places.values(),
    push(place, next) {
      if (next.is === "event" && (place.queue.length >= MOST_WAITING_ON_ONE || waiting >= MOST_WAITING))
        overflow(place);
      else {
        if (next.is === "event") waiting += 1;
        if (next.is === "catch-up") place.catchUps += 1;
        place.queue.push(next);
      }
      start(place);
    },
    waiting: () => waiting,
    async rest() {
      while (running.size > 0) await Promise.all(running);
    },
  };
}
