import { randomUUID } from "node:crypto";
import { type Clock, type Log, NomqError, type SessionLog } from "@nomq/core";
import type { DiskSpace } from "../disk/disk-space.ts";
import { FORMAT, makeFolder, readMark, writeMark } from "../disk/folder.ts";
import { isFullDisk } from "../disk/full-disk.ts";
import { removeLeftovers } from "../disk/leftovers.ts";
import { type Level, levelFolder, type OpenLevel } from "../disk/level.ts";
import { completed, MIGRATIONS, migrated } from "../disk/migrate.ts";
import { firstCommits, lastCommit } from "../image/commits.ts";
import { type Image, loadImage, type StoreLimits, storeId } from "../image/image.ts";
import { metaKey } from "../layout/keys.ts";
import { writeText } from "../layout/records.ts";
import type { Target, TargetSource } from "./writer.ts";

/** How long a store that does not open waits until it tries again: doubled each time up to the most. */
const AGAIN_MS = 1_000;
const MOST_MS = 4_000;

export interface DatabaseOptions {
  readonly folder: string;
  readonly sync: boolean;
  readonly limits: StoreLimits;
  readonly space: DiskSpace;
  readonly clock: Clock;
  readonly log: Log;
  readonly sessionLog: SessionLog;
  readonly open: OpenLevel;
  /** Called whenever a database has been opened. */
  readonly opened: (target: Target) => void;
}

/** Holds the open database and what is known of it, and replaces both after a failed write. */
export class Database implements TargetSource {
  readonly sync: boolean;
  private readonly options: DatabaseOptions;
  private current: Target | undefined;
  private isClosing = false;
  private isRecovering = false;
  private wake: (() => void) | undefined;

  constructor(options: DatabaseOptions) {
    this.options = options;
    this.sync = options.sync;
  }

  get isOpen(): boolean {
    return this.current !== undefined;
  }

  now(): number {
    return this.options.clock.now();
  }

  target(): Target {
    if (this.current !== undefined) return this.current;
    if (this.isRecovering) throw new NomqError("store-busy", "the store opens again after a failed write");
    throw new NomqError("closed", "the store is not open");
  }

  /** Whether this is still what reads and writes go to. */
  holds(target: Target): boolean {
    return this.current === target;
  }

  async open(): Promise<void> {
    this.isClosing = false;
    const isNew = await this.broughtUp();
    const level = await this.begin(isNew);
    try {
      const id = isNew ? await this.found(level) : await storeId(level);
      const image = await this.load(level);
      if (isNew) await writeMark(this.options.folder, { format: FORMAT, id: id ?? "" });
      this.become({ level, image });
    } catch (error) {
      await level.close();
      throw error;
    }
  }

  /** The folder as this version writes it; true where there is no store yet. */
  private async broughtUp(): Promise<boolean> {
    const { folder, open, log } = this.options;
    await completed(folder);
    await makeFolder(folder);
    const mark = await readMark(folder);
    if (mark !== undefined && mark.format < FORMAT)
      await migrated(folder, {
        ...{ mark, steps: MIGRATIONS, to: FORMAT, open, log },
        lastCommit: async (level) => (await lastCommit(level, folder)).number,
      });
    return mark === undefined;
  }

  /** Opening writes a table: on a full disk it takes the room kept back. */
  private async begin(isNew: boolean): Promise<Level> {
    const { open, folder } = this.options;
    try {
      return await open(folder, { create: isNew });
    } catch (error) {
      if (isNew || !isFullDisk(error)) throw error;
      await this.makeRoom();
      return await open(folder, { create: false });
    }
  }

  /** Gives up what is not needed to open. The database must be closed. */
  private async makeRoom(): Promise<void> {
    const { folder, log, space } = this.options;
    await space.ranOut();
    const removed = await removeLeftovers(levelFolder(folder));
    if (removed > 0) log.info("unfinished files of the store were removed to make room", { folder, removed });
  }

  /** Drain the writer first. */
  async close(): Promise<void> {
    this.endRecovery();
    const { current } = this;
    this.current = undefined;
    await current?.level.close();
  }

  async recover(number: number, error: unknown): Promise<boolean> {
    this.isRecovering = true;
    try {
      return await this.reopen(number, error);
    } finally {
      this.isRecovering = false;
    }
  }

  private async reopen(number: number, error: unknown): Promise<boolean> {
    const { log, sessionLog, folder } = this.options;
    const details = { folder, error: String(error) };
    log.error("a write to the store failed; it is opened again to see what it holds", details);
    sessionLog.record({ who: "store", what: "store.failed", details });
    const { current } = this;
    this.current = undefined;
    await this.closeFailed(current?.level, error);
    for (let wait = AGAIN_MS; ; wait = Math.min(wait * 2, MOST_MS)) {
      if (this.isClosing)
        throw new NomqError("closed", "the store was closed before it could be opened again");
      const target = await this.reopened();
      if (target !== undefined) {
        this.become(target);
        const isThere = target.image.commit.number >= number;
        log.info("the store is open again", { folder, landed: isThere });
        sessionLog.record({ who: "store", what: "store.reopened", details: { folder, landed: isThere } });
        return isThere;
      }
      if (!this.isClosing) await this.pause(wait);
      if (this.isClosing)
        throw new NomqError("closed", "the store was closed before it could be opened again");
    }
  }

  /** A recovery under way makes its last attempt. */
  endRecovery(): void {
    this.isClosing = true;
    this.wake?.();
  }

  private async reopened(): Promise<Target | undefined> {
    const { folder, log } = this.options;
    let level: Level | undefined;
    try {
      level = await this.options.open(folder, { create: false });
      return { level, image: await this.load(level) };
    } catch (error) {
      await this.closeFailed(level, error);
      log.warn("the store does not open again yet", { folder, error: String(error) });
      return undefined;
    }
  }

  /** One that does not even close may still be at its files: they are left alone. */
  private async closeFailed(level: Level | undefined, error: unknown): Promise<void> {
    const isClosed = await (level?.close() ?? Promise.resolve()).then(
      () => true,
      () => false,
    );
    if (!isFullDisk(error)) return;
    if (isClosed) await this.makeRoom();
    else await this.options.space.ranOut();
  }

  private pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.options.clock.after(ms, resolve);
      this.wake = () => {
        cancel();
        resolve();
      };
    });
  }

  private load(level: Level): Promise<Image> {
    return loadImage(level, this.options.folder, this.options.limits);
  }

  private become(target: Target): void {
    this.current = target;
    this.options.opened(target);
  }

  /** Makes a new store; one whose making was cut off after its commits is taken as it is. */
  private async found(level: Level): Promise<string> {
    const known = await storeId(level);
    if (known !== undefined) return known;
    const id = randomUUID();
    const batch = level.batch();
    firstCommits(batch);
    const key = metaKey("id");
    batch.put(key, writeText(key, id));
    await batch.write({ sync: true });
    return id;
  }
}
