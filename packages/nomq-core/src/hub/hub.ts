import type { AttachmentState, Bridge, Hub } from "../bridge.ts";
import { type Clock, systemClock } from "../clock.ts";
import { NomqError } from "../errors.ts";
import { type Log, silentLog } from "../log.ts";
import { type Access, allowAll } from "../principal.ts";
import { detach, forget } from "./attach/detach.ts";
import { type Core, DEFAULT_LIMITS, type HubLimits } from "./core.ts";
import { createMemoryStore } from "./memory-store.ts";
import { openCore } from "./open.ts";
import type { Place } from "./place.ts";
import { createPort, notOpen } from "./port.ts";
import type { Store } from "./store.ts";

/** What a hub is made of; everything has a default. */
export interface HubOptions {
  /** Default: a memory store of its own. */
  readonly store?: Store;
  /** Default: everything is allowed. */
  readonly access?: Access;
  /** Default: the machine's clock. */
  readonly clock?: Clock;
  /** Default: silent. */
  readonly log?: Log;
  /** Channel names that are always known. */
  readonly channels?: readonly string[];
  readonly limits?: Partial<HubLimits>;
}

/** Durable and not claimed: shown after a minute, forgotten after a month (hub.md, "Life of an attachment"). */
const UNCLAIMED_MS = 60_000;
const FORGET_MS = 30 * 24 * 60 * 60 * 1_000;
const LOOK_MS = 60 * 60 * 1_000;
/** How long closing waits for a store that does not answer. */
const FLUSH_MS = 5_000;

/** Makes the router between attachments. Nothing happens before `start()`. */
export function createHub(options: HubOptions = {}): Hub {
  const clock = options.clock ?? systemClock;
  const log = options.log ?? silentLog;
  const bridges: Bridge[] = [];
  let core: Core | undefined;
  let started: Promise<void> | undefined;
  let closed: Promise<void> | undefined;
  let isRunning = false;
  let cancelLook = (): void => undefined;

  const open = (): Core => {
    if (core === undefined) throw notOpen();
    return core;
  };
  const portOf = (name: string): ReturnType<typeof createPort> =>
    createPort(name, { core: open, openCore: () => core, clock, log });
  const join = async (bridge: Bridge): Promise<void> => {
    await bridge.attach(portOf(bridge.name));
    await bridge.start();
  };
  const look = (): void => {
    cancelLook = clock.after(LOOK_MS, () => {
      if (core !== undefined) forgetUnclaimed(core);
      look();
    });
  };
  const start = async (signal: AbortSignal | undefined): Promise<void> => {
    const store = options.store ?? createMemoryStore();
    const limits = { ...DEFAULT_LIMITS, ...options.limits };
    const access = options.access ?? allowAll;
    core = await openCore({ store, limits, access, clock, log, channels: options.channels ?? [] });
    look();
    for (const bridge of bridges) await bridge.attach(portOf(bridge.name));
    const passed = signal === undefined ? {} : { signal };
    for (const bridge of bridges) await bridge.start(passed);
    isRunning = true;
  };
  const close = async (): Promise<void> => {
    isRunning = false;
    // A start under way ends first: what it opened is closed below.
    await started?.catch(() => undefined);
    cancelLook();
    for (const bridge of bridges.toReversed()) await stopOne(bridge, log);
    if (core !== undefined) await closeCore(core);
    core = undefined;
  };
  const dispose = (): Promise<void> => {
    closed ??= close();
    return closed;
  };

  return {
    add: (bridge) => {
      bridges.push(bridge);
      if (!isRunning) return;
      join(bridge).catch((error: unknown) => {
        log.error("a bridge did not start", { bridge: bridge.name, error: String(error) });
      });
    },
    start: (startOptions) => {
      if (closed !== undefined)
        return Promise.reject(new NomqError("closed", "the hub was disposed; make another"));
      started ??= start(startOptions?.signal);
      return started;
    },
    port: portOf,
    attachments: () =>
      core === undefined ? [] : [...core.places.values()].map((place) => stateOf(place, clock)),
    forget: async (name) => forget(open(), name),
    [Symbol.asyncDispose]: dispose,
  };
}

async function stopOne(bridge: Bridge, log: Log): Promise<void> {
  try {
    await bridge.stop();
  } catch (error) {
    log.error("a bridge did not stop cleanly", { bridge: bridge.name, error: String(error) });
  }
}

async function closeCore(core: Core): Promise<void> {
  await Promise.all([...core.places.values()].map((place) => detach(core, place, place.binding)));
  const late = new NomqError("closed", "the hub was closed while the store had not answered");
  const cancel = core.time.clock.after(FLUSH_MS, () => core.writer.abandon(late));
  await core.writer.flush();
  cancel();
  core.writer.abandon(late);
  core.channels.close();
  for (const place of core.places.values()) for (const stop of place.timers) stop();
  core.time.close();
  await closeStore(core.store, core.time.clock);
}

/** A store that hangs must not keep the process. */
async function closeStore(store: Store, clock: Clock): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const cancel = clock.after(FLUSH_MS, resolve);
    const done = (end: () => void): void => {
      cancel();
      end();
    };
    store[Symbol.asyncDispose]().then(
      () => done(resolve),
      (error: unknown) => done(() => reject(error)),
    );
  });
}

function stateOf(place: Place, clock: Clock): AttachmentState {
  const { name, as, binding } = place;
  const base = { name, as, filters: [...place.filters], durable: place.isDurable, ledger: place.ledger() };
  if (binding === undefined) {
    const isLong = clock.monotonic() - place.idleSince >= UNCLAIMED_MS;
    return isLong ? { ...base, state: "unclaimed" } : { ...base, state: "paused", reason: "detached" };
  }
  return binding.paused === undefined
    ? { ...base, state: "active" }
    : { ...base, state: "paused", reason: binding.paused };
}

function forgetUnclaimed(core: Core): void {
  for (const place of core.places.values()) {
    if (place.binding !== undefined || core.claimed.has(place.name)) continue;
    if (core.time.monotonic() - place.idleSince < FORGET_MS) continue;
    core.log.warn("nobody claimed a durable attachment for 30 days; it is forgotten", {
      attachment: place.name,
    });
    void forget(core, place.name);
  }
}
