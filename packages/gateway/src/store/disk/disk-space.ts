import { type Log, NomqError, type SessionLog } from "@nomq/core";
import { dropReserve, freeBytes, isMarkGone, keepReserve } from "./folder.ts";

/** How much of the disk the store leaves alone. */
export interface DiskSpaceLimits {
  /** Below so many free bytes messages are refused. */
  readonly low: number;
  /** Above so many they are taken again. */
  readonly high: number;
  /** Given up when the disk is full all the same, so that outcomes can be written and rows deleted. */
  readonly reserve: number;
}

/** Looked at again after so many bytes or commits. */
const BYTES_BETWEEN = 512 * 1024;
const COMMITS_BETWEEN = 64;

/** Watches the free bytes of the store's disk, and that the store is still where it was opened. */
export class DiskSpace {
  private readonly folder: string;
  private readonly limits: DiskSpaceLimits;
  private readonly log: Log;
  private readonly sessionLog: SessionLog;
  private full = false;
  private gone = false;
  private bytes = Number.POSITIVE_INFINITY;
  private commits = 0;

  constructor(folder: string, options: { limits: DiskSpaceLimits; log: Log; sessionLog: SessionLog }) {
    this.folder = folder;
    this.limits = options.limits;
    this.log = options.log;
    this.sessionLog = options.sessionLog;
  }

  get isFull(): boolean {
    return this.full;
  }

  /** Somebody removed the folder: the database writes on into files that end with this process. */
  get isGone(): boolean {
    return this.gone;
  }

  /** Throws `store-failed` once the folder is gone. */
  refuseGone(): void {
    if (!this.gone) return;
    throw new NomqError("store-failed", `${this.folder} was removed while it was open; restart the gateway`);
  }

  /** Whether so many more bytes of messages may be written. */
  async admits(bytes: number): Promise<boolean> {
    this.bytes += bytes;
    this.commits += 1;
    if (this.full || this.bytes > BYTES_BETWEEN || this.commits > COMMITS_BETWEEN) await this.look();
    return !this.full;
  }

  /** The disk said it is full, whatever it says it has left. */
  async ranOut(): Promise<void> {
    this.become(true, 0);
    await dropReserve(this.folder);
  }

  /** Looks at the disk and, where there is room, builds the reserve. */
  async tend(): Promise<void> {
    const free = await this.look();
    const { low, reserve } = this.limits;
    if (!this.gone && !this.full && free >= low + reserve) await keepReserve(this.folder, reserve);
  }

  private async look(): Promise<number> {
    if (await isMarkGone(this.folder)) this.lose();
    // A file system that does not say lets its errors say.
    const free = await freeBytes(this.folder).catch(() => Number.POSITIVE_INFINITY);
    this.bytes = 0;
    this.commits = 0;
    this.become(free < (this.full ? this.limits.high : this.limits.low), free);
    return free;
  }

  /** For good: what has been acknowledged is lost, and a folder of that name is another one. */
  private lose(): void {
    if (this.gone) return;
    this.gone = true;
    const text =
      "the store's folder was removed: what is to be stored is refused, and what was is lost; restart";
    this.log.error(text, { folder: this.folder });
    this.sessionLog.record({ who: "store", what: "store.removed", details: { folder: this.folder } });
  }

  private become(full: boolean, free: number): void {
    if (full === this.full) return;
    this.full = full;
    const fields = { folder: this.folder, free };
    if (full) this.log.error("the store's disk is full: messages that must be stored are refused", fields);
    else this.log.info("the store's disk has room again", fields);
    this.sessionLog.record({ who: "store", what: full ? "store.full" : "store.healed", details: fields });
  }
}
