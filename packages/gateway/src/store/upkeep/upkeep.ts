import { setTimeout as wait } from "node:timers/promises";
import { type Clock, type ClockStep, type Log, movedExpiry, NomqError } from "@nomq/core";
import type { DiskSpace } from "../disk/disk-space.ts";
import type { KnownAttachment } from "../image/attachment-index.ts";
import { bodyKey, rowKey, rowsOf, Space, spaceRange } from "../layout/keys.ts";
import type { Database } from "../writing/database.ts";
import type { Target, Writer } from "../writing/writer.ts";
import { loadBehind } from "./load-behind.ts";
import {
  SWEPT_AT_ONCE,
  type Sweep,
  sweepBodies,
  sweepDoomed,
  sweepDue,
  sweepHistory,
  sweepOnce,
  sweepReceipts,
} from "./sweeps.ts";

const EVERY_MS = 1_000;
/** How long a transfer's name is kept when nobody releases it (hub.md, "Deduplication"). */
const ONCE_MS = 24 * 60 * 60 * 1_000;
/** Between two pages, for the others' writes: without it the loop was late by 33 ms. */
const BETWEEN_PAGES_MS = 5;

export interface UpkeepOptions {
  readonly database: Database;
  readonly writer: Writer;
  readonly space: DiskSpace;
  readonly clock: Clock;
  readonly log: Log;
  readonly receiptsForMs: number;
  /** Rows removed from one outbox before its range is compacted. */
  readonly compactAfter: number;
}

/** What a store does by itself: learns behind the start, lets go what has expired, compacts. */
export class Upkeep {
  private readonly options: UpkeepOptions;
  private target: Target | undefined;
  private loading: Promise<void> = Promise.resolve();
  private retained: Promise<void> = Promise.resolve();
  private unneeded: number[] = [];
  private running: Promise<void> | undefined;
  private cancel: (() => void) | undefined;
  private isStopped = true;
  /** Steps of the wall clock since what is stored was said; undefined: not known yet, and nothing expires. */
  steps: readonly ClockStep[] | undefined;

  constructor(options: UpkeepOptions) {
    this.options = options;
  }

  /** Begins with a database that has just been opened. */
  begin(target: Target): void {
    this.isStopped = false;
    this.target = target;
    this.unneeded = [];
    const retained = Promise.withResolvers<void>();
    this.retained = retained.promise;
    // Who asks is told; nobody may.
    retained.promise.catch(() => undefined);
    this.loading = this.load(target, retained).finally(retained.resolve);
    this.cancel?.();
    this.arm();
  }

  /** Resolves when the retained channels that were on disk at the start are known. */
  async retainedKnown(): Promise<void> {
    for (let retained: Promise<void> | undefined; retained !== this.retained; ) {
      retained = this.retained;
      await retained;
    }
  }

  /** Resolves when all that was on disk at the start is known. */
  private async loaded(): Promise<void> {
    for (let loading: Promise<void> | undefined; loading !== this.loading; ) {
      loading = this.loading;
      await loading;
    }
  }

  /** Does all that is due now. */
  async tidy(): Promise<void> {
    // One under way may have begun before it was due.
    while (this.running !== undefined) await this.running.catch(() => undefined);
    this.running = this.work().finally(() => {
      this.running = undefined;
    });
    await this.running;
  }

  async stop(): Promise<void> {
    this.isStopped = true;
    this.target = undefined;
    this.cancel?.();
    await this.running?.catch(() => undefined);
    await this.loading;
  }

  private arm(): void {
    const cancel = this.options.clock.after(EVERY_MS, () => {
      this.tidy()
        .catch((error: unknown) => {
          if (!this.isStopped) this.options.log.warn("the store's upkeep failed", { error: String(error) });
        })
        .finally(() => {
          // A database opened meanwhile has a timer of its own.
          if (!this.isStopped && this.cancel === cancel) this.arm();
        });
    });
    this.cancel = cancel;
  }

  private async load(target: Target, retained: PromiseWithResolvers<void>): Promise<void> {
    const isWanted = (): boolean => this.target === target && this.options.database.holds(target);
    try {
      // Not before the caller has seen the store open.
      await Promise.resolve();
      const read = await loadBehind(target, { isWanted, retainedKnown: retained.resolve });
      const { unneeded, ...found } = read;
      if (!isWanted()) return;
      // Not spread: there may be a million.
      for (const seq of unneeded) this.unneeded.push(seq);
      this.options.log.info("the store has been read through", { ...found, unneeded: unneeded.length });
    } catch (error) {
      if (!isWanted()) return;
      retained.reject(new NomqError("store-failed", "the store could not be read through", { cause: error }));
      this.options.log.error("the store could not be read through", { error: String(error) });
    }
  }

  private async work(): Promise<void> {
    const { space, clock, receiptsForMs, database } = this.options;
    await this.loaded();
    if (this.isStopped || !database.isOpen) return;
    await space.tend();
    for (const place of [...database.target().image.doomed.keys()])
      await this.sweep(() => sweepDoomed(place));
    const { steps } = this;
    if (steps !== undefined) {
      await this.sweep(() => sweepDue(clock.now(), (message) => movedExpiry(message, steps)));
    }
    await this.sweep(() => sweepHistory(clock.now()));
    await this.sweep(() => sweepOnce(clock.now() - ONCE_MS));
    await this.sweep(() => sweepReceipts(clock.now() - receiptsForMs));
    await this.removeBodies();
    await this.compact();
  }

  private async sweep(next: () => Sweep): Promise<void> {
    for (let more = true; more && !this.isStopped; ) {
      const sweep = next();
      await this.options.writer.write(sweep);
      more = sweep.more();
      if (more) await wait(BETWEEN_PAGES_MS);
    }
  }

  private async removeBodies(): Promise<void> {
    while (this.unneeded.length > 0 && !this.isStopped) {
      await this.options.writer.write(sweepBodies(this.unneeded.splice(0, SWEPT_AT_ONCE)));
      await wait(BETWEEN_PAGES_MS);
    }
  }

  /** What was deleted before a head makes every seek to it slow, and keeps its room. */
  private async compact(): Promise<void> {
    const { database, compactAfter } = this.options;
    if (!database.isOpen) return;
    const { image, level } = database.target();
    const worn = [...image.attachments.all()].filter((attachment) => attachment.removed >= compactAfter);
    for (const attachment of worn) {
      if (this.isStopped) return;
      const { removed } = attachment;
      await level.compact({
        gte: rowsOf(attachment.place).gte,
        lt: rowKey(attachment.place, attachment.cursor),
      });
      attachment.removed -= removed;
    }
    if (worn.length === 0 || this.isStopped) return;
    const lowest = lowestCursor(image.attachments.all());
    await level.compact({ gte: spaceRange(Space.body).gte, lt: bodyKey(lowest) });
  }
}

function lowestCursor(attachments: Iterable<KnownAttachment>): number {
  let lowest = Number.MAX_SAFE_INTEGER;
  for (const attachment of attachments)
    if (attachment.waiting > 0) lowest = Math.min(lowest, attachment.cursor);
  return lowest;
}
