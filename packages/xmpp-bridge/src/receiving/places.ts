import { AgedMap } from "@nomq/core";
import type { NodeMemory } from "./node-memory.ts";
import type { Place, Work } from "./place.ts";
import { createStarts } from "./starts.ts";
import type { Tally } from "./tally.ts";
import { weightOf } from "./weight.ts";

/** Notifications that wait on one node, and on all: then its history is read when the hub has caught up. */
const MOST_WAITING_ON_ONE = 2_000;
const MOST_WAITING = 50_000;
/** The same in bytes: a publisher may make each as large as the server lets him. */
const MOST_BYTES_ON_ONE = 8_388_608;
const MOST_BYTES = 67_108_864;

type Told = Extract<Work, { readonly is: "event" }>;

/** What places need. */
export interface PlacesOptions {
  readonly tally: Tally;
  readonly signal: AbortSignal;
  make(memory: NodeMemory): Place;
  /** Does one thing. Never rejects. */
  work(place: Place, work: Work): Promise<void>;
  /** Resolves when what nobody has told of can be begun: a catch-up waits for it in any case. Never rejects. */
  ready(): Promise<void>;
}

/** The nodes that we read, each with its own order. */
export interface Places {
  get(node: string): Place | undefined;
  add(memory: NodeMemory): Place;
  /** What waits there is for nothing. */
  end(place: Place): void;
  all(): Iterable<Place>;
  size(): number;
  /** Queues it behind what waits. */
  push(place: Place, work: Work): void;
  /** Queued notifications. */
  waiting(): number;
  /** Resolves when nothing is under way. */
  rest(): Promise<void>;
}

/** Makes it, without any. */
export function createPlaces({ make, ready, signal, tally, work }: PlacesOptions): Places {
  const places = new AgedMap<string, Place>();
  const running = new Set<Promise<void>>();
  let waiting = 0;
  let bytes = 0;

  const came = (place: Place, { event }: Told): void => {
    const weight = weightOf(event);
    waiting += 1;
    bytes += weight;
    place.bytes += weight;
  };
  const went = (place: Place, { event }: Told): void => {
    const weight = weightOf(event);
    waiting -= 1;
    bytes -= weight;
    place.bytes -= weight;
  };
  const drop = (place: Place): number => {
    const told = place.queue.filter((each) => each.is === "event");
    for (const each of told) went(place, each);
    return told.length;
  };
  const isFull = ({ bytes: own, queue }: Place): boolean =>
    queue.length >= MOST_WAITING_ON_ONE ||
    waiting >= MOST_WAITING ||
    own >= MOST_BYTES_ON_ONE ||
    bytes >= MOST_BYTES;
  const run = async (place: Place): Promise<void> => {
    while (!signal.aborted && !place.isEnded) {
      const next = place.queue.shift();
      if (next === undefined) break;
      if (next.is === "event") went(place, next);
      await work(place, next);
      if (next.is === "catch-up") place.catchUps -= 1;
    }
    place.isBusy = false;
  };
  const begin = (place: Place): void => {
    const done = run(place).finally(() => {
      running.delete(done);
      // Between its last look at the queue and now something may have come.
      start(place);
    });
    running.add(done);
  };
  const starts = createStarts({ begin, ready });
  const start = (place: Place): void => {
    if (place.isBusy || place.queue.length === 0 || place.isEnded || signal.aborted) return;
    place.isBusy = true;
    if (place.queue[0]?.is === "event") begin(place);
    else starts.add(place);
  };
  const overflow = (place: Place): void => {
    tally.add("overflowed", drop(place) + 1);
    place.catchUps -= place.queue.filter((each) => each.is === "catch-up").length;
    place.queue.splice(0, place.queue.length, { is: "catch-up" });
    place.catchUps += 1;
  };

  return {
    get: (node) => places.get(node),
    add(memory) {
      const place = make(memory);
      places.set(place.node, place);
      return place;
    },
    end(place) {
      place.isEnded = true;
      drop(place);
      place.queue.length = 0;
      if (places.get(place.node) === place) places.delete(place.node);
    },
    all: () => places.values(),
    size: () => places.size,
    push(place, next) {
      if (next.is === "event" && isFull(place)) overflow(place);
      else {
        if (next.is === "event") came(place, next);
        if (next.is === "catch-up") place.catchUps += 1;
        place.queue.push(next);
      }
      start(place);
    },
    waiting: () => waiting,
    async rest() {
      await starts.rest();
      while (running.size > 0) await Promise.all(running);
    },
  };
}
