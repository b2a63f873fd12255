import type { CancelTimer, Clock, Principal } from "@nomq/core";
import type { Front } from "../front/front.ts";
import type { Arrival } from "../listen/arrival.ts";
import type { ClientRecords } from "./client-records.ts";

/** How often connections are looked at. */
const LOOK_MS = 2_500;
/** A client whose socket has taken nothing for so long is slow. */
const NOT_READING_MS = 5_000;
/** A client that has acknowledged nothing of what it has for so long is slow. */
const UNACKNOWLEDGED_MS = 10_000;
/** Slow clients that are named; more are counted. */
const MOST_NAMED = 100;

/** A client that is connected and takes nothing of what it is sent. */
export interface SlowClient {
  readonly client: string;
  readonly principal: Principal;
  readonly address: string;
  /** `not-reading`: its socket takes nothing, and is cut after 10 s. `unacknowledged`: QoS 1 and 2 are not answered. */
  readonly reason: "not-reading" | "unacknowledged";
  /** Unix milliseconds. */
  readonly since: number;
  /** Messages at QoS 1 and 2 sent and not acknowledged, or waiting to be sent, on this connection. */
  readonly waiting: number;
  /** Messages at QoS 0 that this connection did not get. */
  readonly dropped: number;
}

/** Looks for clients that take nothing. */
export interface SlowClients {
  add(front: Front, arrival: Arrival): void;
  remove(front: Front): void;
  /** The slowest first, at most 100. */
  list(): readonly SlowClient[];
  count(): number;
  /** Looks no more. */
  close(): void;
}

/** What was seen of a connection at the last look; times are monotonic. */
interface Seen {
  readonly arrival: Arrival;
  acknowledged: number;
  stillSince: number | undefined;
}

type Stillness = Pick<SlowClient, "reason" | "since">;

/** Makes the look-out; it sets a timer while there is a connection. */
export function createSlowClients(use: {
  readonly clock: Clock;
  readonly records: ClientRecords;
}): SlowClients {
  const { clock, records } = use;
  const fronts = new Map<Front, Seen>();
  const slow = new Map<Front, SlowClient>();
  let cancel: CancelTimer | undefined;

  const lookAt = (front: Front, seen: Seen, now: number): void => {
    const { arrival } = seen;
    const found = stillness(front, seen, now);
    const isNews = (found === undefined) === slow.has(front);
    if (found === undefined) slow.delete(front);
    else slow.set(front, describe(front, arrival, { ...found, since: clock.now() - (now - found.since) }));
    if (!isNews) return;
    if (found === undefined) records.recovered(front, arrival);
    else records.slowed(front, arrival, found.reason);
  };
  const look = (): void => {
    const now = clock.monotonic();
    for (const [front, seen] of fronts) lookAt(front, seen, now);
    cancel = fronts.size === 0 ? undefined : clock.after(LOOK_MS, look);
  };

  return {
    add(front, arrival) {
      fronts.set(front, { arrival, acknowledged: 0, stillSince: undefined });
      cancel ??= clock.after(LOOK_MS, look);
    },
    remove(front) {
      fronts.delete(front);
      slow.delete(front);
    },
    list: () => [...slow.values()].toSorted((one, other) => one.since - other.since).slice(0, MOST_NAMED),
    count: () => slow.size,
    close() {
      cancel?.();
      cancel = undefined;
      fronts.clear();
      slow.clear();
    },
  };
}

/** Why the client counts as slow, and since when; undefined: it does not. */
function stillness(front: Front, seen: Seen, now: number): Stillness | undefined {
  const { acknowledged, inFlight, behindSince } = front.progress();
  const hasMoved = acknowledged !== seen.acknowledged;
  seen.acknowledged = acknowledged;
  if (inFlight === 0) seen.stillSince = undefined;
  else if (hasMoved || seen.stillSince === undefined) seen.stillSince = now;
  if (behindSince !== undefined && now - behindSince >= NOT_READING_MS)
    return { reason: "not-reading", since: behindSince };
  const { stillSince } = seen;
  if (stillSince === undefined || now - stillSince < UNACKNOWLEDGED_MS) return undefined;
  return { reason: "unacknowledged", since: stillSince };
}

function describe(front: Front, { address }: Arrival, { reason, since }: Stillness): SlowClient {
  const { principal, connect } = front;
  const { inFlight, waiting, dropped } = front.progress();
  const counts = { waiting: inFlight + waiting, dropped };
  return { client: connect.clientId, principal, address, reason, since: Math.round(since), ...counts };
}
