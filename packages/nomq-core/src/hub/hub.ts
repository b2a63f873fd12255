import type { AbortOptions, AttachmentState, Bridge, Hub, Port, StoreProgress } from "../bridge.ts";
import { type CancelTimer, type Clock, systemClock } from "../clock.ts";
import { NomqError } from "../errors.ts";
import { type Log, silentLog } from "../log.ts";
import { type Access, allowAll, withProgramItself } from "../principal.ts";
import { type SessionLog, silentSessionLog } from "../session-log.ts";
import { detach, forget } from "./attach/detach.ts";
import { type Core, DEFAULT_LIMITS, type HubLimits } from "./core.ts";
import { awayMs, saveAway, saveClock } from "./keeper.ts";
import { createMemoryStore } from "./memory-store.ts";
import { openCore } from "./open.ts";
import type { Place } from "./place.ts";
import { createPort, notOpen } from "./port.ts";
import { followAccess } from "./revocation.ts";
import type { Store } from "./store.ts";
import { Watch } from "./watch.ts";

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
  /** Who did what and when; bridges record into it. Default: silent. */
  readonly sessionLog?: SessionLog;
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
  return new LocalHub(options);
}

/** Composition, and the order of start and stop. */
class LocalHub implements Hub {
  private readonly options: HubOptions;
  private readonly clock: Clock;
  private readonly log: Log;
  private readonly access: Access;
  private readonly bridges: Bridge[] = [];
  private core: Core | undefined;
  private watch: Watch | undefined;
  private started: Promise<void> | undefined;
  private closed: Promise<void> | undefined;
  private isRunning = false;
  private isDisposed = false;
  private cancelLook: CancelTimer = () => undefined;
  private unfollow: () => void = () => undefined;

  constructor(options: HubOptions) {
    this.options = options;
    this.clock = options.clock ?? systemClock;
    this.log = options.log ?? silentLog;
    this.access = withProgramItself(options.access ?? allowAll);
  }

  add(bridge: Bridge): void {
    this.bridges.push(bridge);
    if (!this.isRunning) return;
    this.join(bridge).catch((error: unknown) => {
      this.log.error("a bridge did not start", { bridge: bridge.name, error: String(error) });
    });
  }

  start(options?: AbortOptions): Promise<void> {
    if (this.isDisposed) return Promise.reject(new NomqError("closed", "the hub was disposed; make another"));
    this.started ??= this.startOrClose(options ?? {});
    return this.started;
  }

  port(name: string): Port {
    return createPort(name, {
      core: () => this.open(),
      openCore: () => this.core,
      access: this.access,
      clock: this.clock,
      log: this.log,
      sessionLog: this.options.sessionLog ?? silentSessionLog,
    });
  }

  attachments(): readonly AttachmentState[] {
    const { watch } = this;
    if (watch === undefined) return [];
    return [...(this.core?.places.values() ?? [])].map((place) => stateOf(place, this.clock, watch));
  }

  store(): StoreProgress {
    return this.watch?.store() ?? { waiting: 0 };
  }

  async forget(name: string): Promise<void> {
    await forget(this.open(), name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.isDisposed = true;
    // A start under way ends first: what it opened is closed here.
    await this.started?.catch(() => undefined);
    this.closed ??= this.close();
    await this.closed;
  }

  private open(): Core {
    if (this.core === undefined) throw notOpen();
    return this.core;
  }

  private async join(bridge: Bridge): Promise<void> {
    await bridge.attach(this.port(bridge.name));
    await bridge.start();
  }

  private async startOrClose(options: AbortOptions): Promise<void> {
    try {
      await this.startAll(options);
    } catch (error) {
      this.closed ??= this.close();
      await this.closed;
      throw error;
    }
  }

  private async startAll(options: AbortOptions): Promise<void> {
    const { store = createMemoryStore({ clock: this.clock }), channels = [] } = this.options;
    const { access } = this;
    const limits = { ...DEFAULT_LIMITS, ...this.options.limits };
    this.core = await openCore({ store, limits, access, clock: this.clock, log: this.log, channels });
    this.unfollow = followAccess(this.core);
    this.watch = new Watch(this.core);
    this.look(UNCLAIMED_MS);
    for (const bridge of this.bridges) await bridge.attach(this.port(bridge.name));
    for (const bridge of this.bridges) await bridge.start(options);
    this.isRunning = true;
  }

  private async close(): Promise<void> {
    this.isRunning = false;
    this.cancelLook();
    this.unfollow();
    for (const bridge of this.bridges.toReversed()) await stopOne(bridge, this.log);
    if (this.core !== undefined) await closeCore(this.core);
    this.core = undefined;
  }

  private look(inMs: number): void {
    this.cancelLook = this.clock.after(inMs, () => {
      if (this.core !== undefined) {
        saveAway(this.core);
        forgetUnclaimed(this.core);
      }
      this.look(LOOK_MS);
    });
  }
}

async function stopOne(bridge: Bridge, log: Log): Promise<void> {
  try {
    await bridge.stop();
  } catch (error) {
    log.error("a bridge did not stop cleanly", { bridge: bridge.name, error: String(error) });
  }
}

async function closeCore(core: Core): Promise<void> {
  saveClock(core);
  await Promise.all([...core.places.values()].map((place) => detach(core, place, place.binding)));
  const late = new NomqError("closed", "the hub was closed while the store had not answered");
  const cancel = core.time.clock.after(FLUSH_MS, () => core.writer.abandon(late));
  await core.writer.flush();
  cancel();
  core.writer.abandon(late);
  core.channels.close();
  core.receipts.close();
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

function stateOf(place: Place, clock: Clock, watch: Watch): AttachmentState {
  const { name, as, binding } = place;
  const counted = { ledger: place.ledger(), progress: watch.progressOf(place) };
  const base = { name, as, filters: [...place.filters], durable: place.isDurable, ...counted };
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
    if (awayMs(core, place) < FORGET_MS) continue;
    core.log.warn("nobody claimed a durable attachment for 30 days; it is forgotten", {
      attachment: place.name,
    });
    void forget(core, place.name);
  }
}
