import {
  type Batch,
  type Clock,
  type ClockStep,
  DEFAULT_HISTORY,
  type HistoryRange,
  type HistoryRule,
  historyRuleFor,
  type Log,
  type Message,
  messageBytes,
  NomqError,
  type Opened,
  type RetainedPage,
  type SessionLog,
  type Store,
  silentLog,
  silentSessionLog,
  systemClock,
} from "@nomq/core";
import { DiskSpace, type DiskSpaceLimits } from "./disk/disk-space.ts";
import { type OpenLevel, openLevel } from "./disk/level.ts";
import type { HistoryLimits } from "./image/history-index.ts";
import { entriesOf, type StoreLimits } from "./image/image.ts";
import { Space, spaceRange, textIn } from "./layout/keys.ts";
import { readOnce } from "./layout/records.ts";
import {
  type Damage,
  readHistory,
  readLatest,
  readReceiptOf,
  readRetained,
  readStates,
  readWaiting,
} from "./reads.ts";
import { quarantineJob } from "./upkeep/quarantine.ts";
import { Upkeep } from "./upkeep/upkeep.ts";
import { Database } from "./writing/database.ts";
import { prefetch } from "./writing/prefetch.ts";
import { type Target, Writer } from "./writing/writer.ts";

/** How a store on disk is made. */
export interface DurableStoreOptions {
  /** Made when it is missing; nothing else may write into it. */
  readonly folder: string;
  /** What an acknowledged commit survives: the end of the process (default), or a power cut (each flush is synced). */
  readonly durability?: "process" | "power";
  /** How much history is kept; the first rule that matches a channel counts. Default: the last 10, for 24 hours. */
  readonly history?: readonly HistoryRule[];
  /** History: of how many channels (default 10,000), of how many messages together (1,000,000). */
  readonly historyLimits?: Partial<Omit<HistoryLimits, "rules">>;
  /** Receipts: how long (24 h), and how many at most (1,000,000); the oldest go first. */
  readonly receipts?: Partial<StoreLimits["receipts"]>;
  /** Cleared channels that are remembered, so that peers can be told. Default 10,000. */
  readonly tombstones?: number;
  /** Free bytes below which messages are refused (32 MiB), above which they are taken again (64), kept back (8). */
  readonly space?: Partial<DiskSpaceLimits>;
  readonly clock?: Clock;
  readonly log?: Log;
  /** Hears of a full disk, a failed write and damage. */
  readonly sessionLog?: SessionLog;
}

/** What a store held when it was opened. */
export interface Recovered {
  readonly attachments: number;
  /** Messages waiting, counted once for each attachment they wait for. */
  readonly waiting: number;
  readonly receipts: number;
  /** Damaged values that were put aside by earlier runs. */
  readonly quarantined: number;
}

/** A {@link Store} on disk. */
export interface DurableStore extends Store {
  /** Values found damaged and put aside since it was made. */
  readonly damaged: number;
  /**
   * Opens the database and takes its lock, as `open` does where this was not called before: what must not start twice
   * knows it first. Rejects with `data-in-use`, `store-damaged`, `store-newer` or `store-failed`.
   */
  recover(): Promise<Recovered>;
  /** No messages are taken for want of room. */
  readonly isFull: boolean;
  /** The folder was removed while it was open: every commit is refused as `store-failed`. */
  readonly isGone: boolean;
  /** Does at once what it does by itself every second: expiry, limits, compaction. */
  tidy(): Promise<void>;
}

const DAY_MS = 24 * 60 * 60 * 1_000;
const MIB = 1024 * 1024;
/** A run may use this many numbers above the highest it had committed. */
const RUN = 2 ** 32;

/** Doors for tests. */
export interface DurableStoreDoors {
  readonly open?: OpenLevel;
  readonly compactAfter?: number;
}

/** Makes a store in a folder; `open` opens it, and refuses one that is damaged, newer, or open elsewhere. */
export function createDurableStore(options: DurableStoreOptions): DurableStore {
  return new LevelStore(options, {});
}

export class LevelStore implements DurableStore {
  private readonly database: Database;
  private readonly writer: Writer;
  private readonly space: DiskSpace;
  private readonly upkeep: Upkeep;
  private readonly limits: StoreLimits;
  private readonly clock: Clock;
  private readonly log: Log;
  private readonly sessionLog: SessionLog;
  private readonly aside = new Set<string>();
  damaged = 0;

  constructor(options: DurableStoreOptions, doors: DurableStoreDoors) {
    const { folder, clock = systemClock, log = silentLog } = options;
    this.clock = clock;
    this.log = log;
    const { sessionLog = silentSessionLog } = options;
    this.sessionLog = sessionLog;
    this.limits = {
      history: {
        ...{ channels: 10_000, messages: 1_000_000, ...options.historyLimits },
        rules: options.history ?? DEFAULT_HISTORY,
      },
      tombstones: options.tombstones ?? 10_000,
      receipts: { forMs: DAY_MS, most: 1_000_000, ...options.receipts },
    };
    const space = { low: 32 * MIB, high: 64 * MIB, reserve: 8 * MIB, ...options.space };
    this.space = new DiskSpace(folder, { limits: space, log, sessionLog });
    this.database = new Database({
      ...{ folder, clock, log, sessionLog, limits: this.limits, space: this.space },
      open: doors.open ?? openLevel,
      sync: options.durability === "power",
      opened: (target) => this.upkeep.begin(target),
    });
    this.writer = new Writer(this.database);
    this.upkeep = new Upkeep({
      ...{ database: this.database, writer: this.writer, space: this.space, clock, log },
      receiptsForMs: this.limits.receipts.forMs,
      compactAfter: doors.compactAfter ?? 100_000,
    });
  }

  get isFull(): boolean {
    return this.space.isFull;
  }

  get isGone(): boolean {
    return this.space.isGone;
  }

  async recover(): Promise<Recovered> {
    await this.writer.idle();
    if (!this.database.isOpen) {
      await this.database.open();
      // The room kept back must be there before it is needed: the next start may find the disk full.
      await this.space.tend();
    }
    const { level, image } = this.target();
    const stored = image.attachments.stored();
    let quarantined = 0;
    for await (const _ of entriesOf(level, spaceRange(Space.quarantine))) quarantined += 1;
    return {
      attachments: stored.length,
      waiting: stored.reduce((sum, { waiting }) => sum + waiting, 0),
      receipts: image.commit.receipts,
      quarantined,
    };
  }

  async open(): Promise<Opened> {
    await this.recover();
    const { level, image } = this.database.target();
    const seq = Math.max(image.nextStart, image.commit.highest + 1);
    await this.writer.write({
      messages: 0,
      bytes: 0,
      build: (flush) => {
        flush.start(seq + RUN);
        flush.raise(seq);
      },
    });
    const once: { key: string; id: string; seq: number }[] = [];
    for await (const [key, value] of entriesOf(level, spaceRange(Space.once)))
      once.push({ key: textIn(key), ...readOnce(key, value) });
    this.upkeep.steps ??= [];
    once.sort((one, other) => one.seq - other.seq);
    return {
      seq,
      attachments: image.attachments.stored(),
      once: once.map(({ key, id }) => [key, id] as const),
      rows: image.attachments.rows(),
    };
  }

  async commit(batch: Batch): Promise<void> {
    this.database.target();
    const writes = [...batch.facts, ...batch.offers];
    let messages = 0;
    let bytes = 0;
    for (const write of writes) {
      if (write.write !== "message") continue;
      messages += 1;
      bytes += messageBytes(write.message);
    }
    // Interest is small and replaced, not added to: who subscribes gets QoS 0 at least.
    if (messages > 0 && !(await this.space.admits(bytes)))
      throw new NomqError("store-full", "the store's disk is full; free some room");
    this.space.refuseGone();
    await this.writer.write({
      messages,
      bytes,
      prepare: (level, image) => prefetch(level, image, writes),
      build: (flush) => {
        for (const write of writes) flush.apply(write);
      },
    });
  }

  clockWasSet(steps: readonly ClockStep[]): void {
    this.upkeep.steps = steps;
  }

  async waiting(name: string, afterSeq: number, limit: number): ReturnType<Store["waiting"]> {
    return await readWaiting(this.target(), { name, afterSeq, limit }, this.damage);
  }

  async retained(filters: readonly string[], page: RetainedPage): Promise<readonly Message[]> {
    this.target();
    await this.upkeep.retainedKnown();
    return await readRetained(this.target(), { filters, page }, this.damage);
  }

  async latest(channel: string): Promise<Message | undefined> {
    return await readLatest(this.target().level, channel, this.damage);
  }

  async receipt(id: string): ReturnType<Store["receipt"]> {
    return await readReceiptOf(this.target(), id);
  }

  async *history(channel: string, range: HistoryRange): AsyncGenerator<Message> {
    const { level } = this.target();
    const rule = historyRuleFor(this.limits.history.rules, channel);
    if (rule === undefined) return;
    const since = Math.max(range.since ?? 0, this.clock.now() - rule.forMs);
    const last = Math.min(range.last ?? rule.last, rule.last);
    yield* readHistory(level, { channel, last, since }, this.damage);
  }

  state(owner: string): AsyncGenerator<readonly [key: Uint8Array, value: Uint8Array]> {
    return readStates(() => this.target(), owner, this.damage);
  }

  async tidy(): Promise<void> {
    await this.upkeep.tidy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.database.endRecovery();
    const stopped = this.upkeep.stop();
    await this.writer.idle();
    await stopped;
    await this.database.close();
  }

  private target(): Target {
    return this.database.target();
  }

  /** Puts aside what cannot be read; reading goes on without it. */
  private readonly damage: Damage = (what) => {
    const name = `${what.key.toString("hex")} ${what.row?.toString("hex")}`;
    if (this.aside.has(name)) return;
    this.aside.add(name);
    this.damaged += 1;
    const details = { key: what.key.toString("hex") };
    this.log.error("the store holds a damaged value; it is put aside", details);
    this.sessionLog.record({ who: "store", what: "value.damaged", details });
    this.writer
      .write(quarantineJob(what))
      .catch((error: unknown) =>
        this.log.warn("a damaged value stays in its place", { error: String(error) }),
      )
      .finally(() => this.aside.delete(name));
  };
}
