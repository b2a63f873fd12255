import { NomqError } from "@nomq/core";
import { isFullDisk } from "../disk/full-disk.ts";
import type { Level } from "../disk/level.ts";
import type { Image } from "../image/image.ts";
import { Flush } from "./apply.ts";

/** Something to be written, as part of a flush. */
export interface Job {
  readonly messages: number;
  readonly bytes: number;
  /** It reads what others change, and shares its flush with nobody. */
  readonly isAlone?: boolean;
  /** Reads what `build` must know; everything before it has landed. */
  prepare?(level: Level, image: Image): Promise<void>;
  /** At once, or not at all. */
  build(flush: Flush): void;
}

/** What the writer writes to. */
export interface Target {
  readonly level: Level;
  readonly image: Image;
}

/** Where the writer finds its target, and what happens when it failed. */
export interface TargetSource {
  /** Throws while there is nothing to write to. */
  target(): Target;
  /** After a failed write: opens again and answers whether the commit of this number is there. */
  recover(number: number, error: unknown): Promise<boolean>;
  now(): number;
  readonly sync: boolean;
}

interface Waiting {
  readonly job: Job;
  resolve(): void;
  reject(error: unknown): void;
}

/** A larger batch keeps the loop too long: 1,024 messages gave delays of 19 ms. */
const MOST_MESSAGES = 256;
const MOST_BYTES = 1024 * 1024;

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/**
 * The one owner of all writing: one flush is open while the next collects. After a failed write LevelDB's handle may
 * report success for what it loses, so it is closed, opened again and asked for the last commit it holds.
 */
export class Writer {
  private readonly source: TargetSource;
  private queue: Waiting[] = [];
  private running: Promise<void> | undefined;
  private isRecovering = false;

  constructor(source: TargetSource) {
    this.source = source;
  }

  /** Resolves when it is on disk, rejects when it is not and will not be. */
  write(job: Job): Promise<void> {
    if (this.isRecovering)
      return Promise.reject(new NomqError("store-busy", "the store opens again after a failed write"));
    return new Promise((resolve, reject) => {
      this.queue.push({ job, resolve, reject });
      this.running ??= this.run();
    });
  }

  /** Resolves when nothing is being written or waits for it. */
  async idle(): Promise<void> {
    while (this.running !== undefined) await this.running;
  }

  private async run(): Promise<void> {
    await turn();
    while (this.queue.length > 0) {
      await this.flush(this.take());
      // A promise is no yield: with a disk that answers at once timers would starve.
      await turn();
    }
    this.running = undefined;
  }

  private take(): Waiting[] {
    const taken: Waiting[] = [];
    let messages = 0;
    let bytes = 0;
    for (const waiting of this.queue) {
      const { job } = waiting;
      messages += job.messages;
      bytes += job.bytes;
      const isTooMuch = messages > MOST_MESSAGES || bytes > MOST_BYTES || job.isAlone === true;
      if (taken.length > 0 && isTooMuch) break;
      taken.push(waiting);
      if (job.isAlone === true) break;
    }
    this.queue = this.queue.slice(taken.length);
    return taken;
  }

  private async flush(taken: readonly Waiting[]): Promise<void> {
    let number: number | undefined;
    try {
      const { level, image } = this.source.target();
      for (const { job } of taken) await job.prepare?.(level, image);
      number = image.commit.number + 1;
      await this.land(taken, { level, image });
    } catch (error) {
      if (number === undefined) for (const { reject } of taken) reject(failure(error));
      else await this.recover(taken, { number, error });
      return;
    }
    for (const { resolve } of taken) resolve();
  }

  private async land(taken: readonly Waiting[], { level, image }: Target): Promise<void> {
    const batch = level.batch();
    try {
      const flush = new Flush(image, batch, this.source.now());
      for (const { job } of taken) job.build(flush);
      if (flush.finish()) await batch.write({ sync: this.source.sync });
      else await batch.discard();
    } catch (error) {
      await batch.discard().catch(() => undefined);
      throw error;
    }
    image.recents.landed();
  }

  private async recover(taken: readonly Waiting[], lost: { number: number; error: unknown }): Promise<void> {
    const later = this.queue;
    this.queue = [];
    this.isRecovering = true;
    for (const { reject } of later)
      reject(new NomqError("store-busy", "a write before this one failed", { cause: lost.error }));
    let isThere = false;
    let cause = lost.error;
    try {
      isThere = await this.source.recover(lost.number, lost.error);
    } catch (error) {
      cause = error;
    }
    this.isRecovering = false;
    for (const { resolve, reject } of taken) {
      if (isThere) resolve();
      else reject(failure(cause));
    }
  }
}

function failure(error: unknown): NomqError {
  if (error instanceof NomqError) return error;
  const inner = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const text = inner instanceof Error ? inner.message : String(inner);
  const code = isFullDisk(error) ? "store-full" : "store-failed";
  return new NomqError(code, `the store did not write: ${text}`, { cause: error });
}
