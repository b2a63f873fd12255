import { randomBytes } from "node:crypto";
import type { Clock } from "../clock.ts";
import type { Log } from "../log.ts";
import { type Access, allowAll } from "../principal.ts";
import { addFilter } from "./attach/steps.ts";
import { Channels } from "./channels.ts";
import { Changes, type Core, type Engine, type HubLimits, type Numbers } from "./core.ts";
import { call, pump } from "./delivery.ts";
import { Prints } from "./echo.ts";
import { enter, finish } from "./enter.ts";
import { recallPlace, saveClock, saveClockInTime, setMeanwhile, stepsFrom } from "./keeper.ts";
import type { Entry } from "./lane.ts";
import { LatestValues } from "./latest-values.ts";
import { Counts } from "./ledger.ts";
import { LongNames } from "./long-names.ts";
import { OnceKeys } from "./once.ts";
import { type OwnState, readOwnState } from "./own-state.ts";
import { Place } from "./place.ts";
import { Receipts } from "./receipts.ts";
import { owe, route, scan } from "./repairs.ts";
import { Routes } from "./routes.ts";
import type { Opened, Store, StoredAttachment } from "./store.ts";
import { readTail } from "./tail.ts";
import { type ClockStep, Time } from "./time.ts";
import { Turn } from "./turn.ts";
import { Writer } from "./writer.ts";

/** Names of volatile attachments whose counts are kept while they are away. */
const MOST_PAST = 10_000;
/** A run may use 2^32 numbers above the highest committed: half of that is said in time. */
const SAY_SEQ_EVERY = 2 ** 31;
const PAGE = 256;

const HEX: readonly string[] = Array.from({ length: 256 }, (_, at) => at.toString(16).padStart(2, "0"));

/** Opens the store and restores what must last: interest in force, counts, transfers. */
export async function openCore(options: {
  store: Store;
  limits: HubLimits;
  access: Access;
  clock: Clock;
  log: Log;
  channels: readonly string[];
}): Promise<Core> {
  const { store, limits, access, clock, log } = options;
  const opened = await store.open();
  const own = await readOwnState(store);
  const numbers = createNumbers(opened.seq, (seq) => writer.fact({ write: "seq", seq }));
  const turn = new Turn();
  const steps = stepsFrom(own, { clock, log, firstSeq: opened.seq });
  const time = makeTime({ store, clock, log, steps, seq: () => numbers.last() + 1, core: () => core });
  const writer = makeWriter({ store, time, turn, log }, limits);
  const once = makeOnce(limits, writer);
  const past = new Map<string, Counts>();
  const core: Core = {
    ...{ store, access, log, time, turn, writer, once, past, limits, numbers },
    routes: new Routes(),
    places: new Map(),
    claimed: new Map(),
    remember: (name, counts) => remember(core, name, counts),
    firstSeq: opened.seq,
    receipts: new Receipts({ most: limits.receipts, seqOf: numbers.seqOf }),
    longNames: new LongNames(),
    channels: new Channels({ configured: options.channels, most: limits.channels }),
    ...{ changes: new Changes(), latest: new LatestValues(), prints: new Prints() },
    brokenSeries: new WeakSet(),
    engine: createEngine(() => core),
    appliedSeq: opened.seq - 1,
    ...{ clockSetBy: setMeanwhile(own.clock, clock), clockSavedAt: Number.NEGATIVE_INFINITY },
  };
  time.open();
  restore(core, opened, own);
  if (time.steps.length > (own.clock?.steps.length ?? 0)) saveClock(core);
  void learnChannels(core);
  return core;
}

function makeWriter(use: Pick<Core, "store" | "time" | "turn" | "log">, limits: HubLimits): Writer {
  return new Writer({ ...use, limits: { messages: limits.waiting, bytes: limits.waitingBytes } });
}

function makeOnce({ once: most }: HubLimits, writer: Writer): OnceKeys {
  return new OnceKeys({ most, forgotten: (key) => writer.fact({ write: "release", once: key }) });
}

/** The hub's time, whose steps the store is told of and which is written down now and then. */
function makeTime(of: {
  store: Store;
  clock: Clock;
  log: Log;
  steps: readonly ClockStep[];
  seq: () => number;
  core: () => Core;
}): Time {
  const time = new Time({
    ...of,
    watched: () => saveClockInTime(of.core()),
    stepped: () => {
      of.store.clockWasSet?.(time.steps);
      saveClock(of.core());
    },
  });
  of.store.clockWasSet?.(time.steps);
  return time;
}

function createNumbers(first: number, say: (seq: number) => void): Numbers {
  const run = randomBytes(8).toString("hex");
  let last = first - 1;
  let page = -1;
  let prefix = "";
  return {
    next: () => {
      last += 1;
      if ((last - first) % SAY_SEQ_EVERY === SAY_SEQ_EVERY - 1) say(last);
      return last;
    },
    last: () => last,
    idOf: (seq) => {
      // All but the last two digits stay the same 256 times.
      const rest = seq % 256;
      if (seq - rest !== page) {
        page = seq - rest;
        prefix = run + (page / 256).toString(16).padStart(14, "0");
      }
      return prefix + HEX[rest];
    },
    seqOf: (id) => {
      if (id.length !== 32 || !id.startsWith(run)) return undefined;
      const seq = Number.parseInt(id.slice(16), 16);
      return Number.isSafeInteger(seq) ? seq : undefined;
    },
  };
}

function createEngine(core: () => Core): Engine {
  return {
    enter: (place, arrival) => enter(core(), place, arrival),
    finish: (place, entry, end) => finish(core(), place, { entry, end }),
    pump: (place) => pump(core(), place),
    callNow: (place, entry) => call(core(), place, entry),
    owe: (place, channel, cause) => owe(core(), place, { channel, cause }),
    route: (place, channel) => route(core(), place, channel),
    scan: (place, filters, cause) => scan(core(), place, { filters, cause }),
    readTail: (place) => readTail(core(), place),
    fateOf: (place, entry) => fateOf(core(), place, entry),
    later: (place, ms, run) => later(core(), place, { ms, run }),
    mayGet: (place, channel) => {
      const { access } = core();
      return access === allowAll || place.as === "*" || access.may(place.as, "subscribe", channel);
    },
  };
}

function fateOf(core: Core, place: Place, entry: Entry): ReturnType<Engine["fateOf"]> {
  if (entry.deadline !== Number.POSITIVE_INFINITY && entry.deadline <= core.time.monotonic())
    return { is: "expired" };
  if (!core.engine.mayGet(place, entry.message.channel)) return { is: "refused", reason: "access" };
  const most = place.binding?.peer.maxPayload;
  if (most !== undefined && entry.message.payload.byteLength > most)
    return { is: "refused", reason: "too-large" };
  return undefined;
}

function later(core: Core, place: Place, timer: { ms: number; run: () => void }): void {
  if (core.time.isClosed) return;
  const cancel = core.time.clock.after(timer.ms, () => {
    place.timers.delete(cancel);
    timer.run();
  });
  place.timers.add(cancel);
}

function remember(core: Core, name: string, counts: Counts): void {
  core.past.set(name, counts);
  if (core.past.size <= MOST_PAST) return;
  for (const oldest of core.past.keys()) {
    core.past.delete(oldest);
    core.writer.fact({ write: "forget", name: oldest, at: core.time.clock.now() });
    return;
  }
}

function restore(core: Core, opened: Opened, own: OwnState): void {
  for (const stored of opened.attachments) recallPlace(core, restorePlace(core, stored), own);
  for (const [name, row] of opened.rows ?? []) {
    const counts = new Counts();
    counts.add(row);
    balance(core, { name, counts, rows: 0 });
    core.remember(name, counts);
  }
  const now = core.time.monotonic();
  for (const [key, id] of opened.once) core.once.begin(key, { scope: "", now, id });
}

function restorePlace(core: Core, stored: StoredAttachment): Place {
  const counts = new Counts();
  counts.add(stored.row);
  balance(core, { name: stored.name, counts, rows: stored.waiting });
  const place = new Place({
    name: stored.name,
    as: stored.as,
    isDurable: true,
    filters: [],
    limits: stored.outbox,
    counts,
    firstOfRun: core.firstSeq,
    idleSince: core.time.monotonic(),
  });
  for (const filter of stored.filters) addFilter(core, place, filter);
  place.outbox.tail.messages = stored.waiting;
  place.outbox.tail.bytes = stored.bytes;
  core.places.set(place.name, place);
  return place;
}

/** What the last run had accepted, not finished and not stored went with it. */
function balance(core: Core, at: { name: string; counts: Counts; rows: number }): void {
  const { name, counts, rows } = at;
  const lost = counts.accepted - counts.outcomes() - rows;
  if (lost === 0) return;
  const saved = core.writer.countsOf(name);
  if (lost > 0) {
    counts.drop("restart", lost);
    saved.drop("restart", lost);
    return;
  }
  core.log.error("the store's counts do not balance: it is damaged", { attachment: name, by: lost });
  counts.accepted -= lost;
  saved.accepted -= lost;
}

/** Channels with a value are known; never delays the start. */
async function learnChannels(core: Core): Promise<void> {
  let after: string | undefined;
  try {
    for (let left = core.limits.channels; left > 0; left -= PAGE) {
      const page = await core.store.retained(["#"], {
        ...(after === undefined ? {} : { after }),
        limit: PAGE,
      });
      for (const { channel } of page) {
        core.channels.learn(channel);
        core.longNames.take(channel);
      }
      after = page.at(-1)?.channel;
      if (page.length < PAGE) return;
      await core.turn.next();
    }
  } catch (error) {
    if (core.time.isClosed) return;
    core.log.warn("the store did not list its channels", { error: String(error) });
  }
}
