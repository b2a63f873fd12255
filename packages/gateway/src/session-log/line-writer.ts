import type { CancelTimer, Clock, Log } from "@nomq/core";
import type { LogFile, LogFolder } from "./log-folder.ts";

/** Lines that wait for the disk; more are lost, and counted. */
const MOST_WAITING_BYTES = 1024 * 1024;
/** What goes into one write. */
const CHUNK_BYTES = 64 * 1024;
const AGAIN_MS = 1_000;
/** How long an end waits for a disk that does not answer. */
const END_MS = 2_000;

/** Appends lines to the files of a folder, behind the caller's back. */
export interface LineWriter {
  /** Takes a line, also before `open`. Never waits; false when it is lost, because the disk takes none. */
  add(line: string): boolean;
  /** Begins to write. What fails is tried again each second. */
  open(): void;
  /** Resolves when all that was taken is written or cannot be. */
  flush(): Promise<void>;
  close(): Promise<void>;
}

/** What a writer is made of. */
export interface LineWriterUse {
  readonly folder: LogFolder;
  readonly clock: Clock;
  readonly log: Log;
  /** The size at which a file is closed and another begun. */
  readonly size: number;
  /** Lines were lost while the disk took none; it takes them again. */
  lost(lines: number): void;
}

/** Makes a writer; it opens nothing before `open`. */
export function createLineWriter(use: LineWriterUse): LineWriter {
  return new Lines(use);
}

class Lines implements LineWriter {
  readonly #use: LineWriterUse;
  #waiting: string[] = [];
  #waitingBytes = 0;
  /** Bytes on their way: what a failed write left goes first, so that no line is torn or doubled. */
  #chunk: Buffer = Buffer.alloc(0);
  #file: LogFile | undefined;
  #size = 0;
  #lost = 0;
  #isOpen = false;
  #isFailing = false;
  #writing: Promise<void> | undefined;
  #cancelAgain: CancelTimer | undefined;

  constructor(use: LineWriterUse) {
    this.#use = use;
  }

  add(line: string): boolean {
    const bytes = Buffer.byteLength(line);
    if (this.#waitingBytes + bytes > MOST_WAITING_BYTES) {
      this.#lost += 1;
      return false;
    }
    this.#waiting.push(line);
    this.#waitingBytes += bytes;
    this.#start();
    return true;
  }

  open(): void {
    this.#isOpen = true;
    this.#start();
  }

  async flush(): Promise<void> {
    while (this.#writing !== undefined) await this.#writing;
  }

  async close(): Promise<void> {
    const late = Promise.withResolvers<void>();
    const cancel = this.#use.clock.after(END_MS, late.resolve);
    if (this.#cancelAgain !== undefined) this.#again();
    await Promise.race([this.flush(), late.promise]);
    cancel();
    this.#isOpen = false;
    this.#cancelAgain?.();
    this.#cancelAgain = undefined;
    const file = this.#file;
    this.#file = undefined;
    if (this.#writing === undefined) await file?.close().catch(() => undefined);
  }

  #start(): void {
    const isIdle = this.#writing === undefined && this.#cancelAgain === undefined;
    const hasMore = this.#waiting.length > 0 || this.#chunk.length > 0;
    if (!this.#isOpen || !isIdle || !hasMore) return;
    // In a later turn: what is recorded in this one is one write.
    this.#writing = new Promise<void>((resolve) => setImmediate(resolve))
      .then(() => this.#writeAll())
      .catch((error: unknown) => this.#failed(error))
      .finally(() => {
        this.#writing = undefined;
        this.#start();
      });
  }

  async #writeAll(): Promise<void> {
    while (this.#chunk.length > 0 || this.#waiting.length > 0) {
      await this.#place();
      if (this.#chunk.length === 0) this.#chunk = this.#nextChunk();
      await this.#writeChunk();
      this.#worked();
    }
  }

  /** A file to write to, another one when it is full. */
  async #place(): Promise<void> {
    const { folder, size } = this.#use;
    if (this.#file !== undefined && this.#size >= size && this.#chunk.length === 0) {
      const full = this.#file;
      this.#file = undefined;
      await full.close();
      await folder.rotate();
    }
    if (this.#file !== undefined) return;
    this.#file = await folder.open();
    this.#size = this.#file.size;
    // A crash may have torn the last line: it stays by itself, and what follows is whole.
    if (!this.#file.isWhole && this.#chunk.length === 0) this.#chunk = Buffer.from("\n");
  }

  #nextChunk(): Buffer {
    let taken = 0;
    let bytes = 0;
    for (const line of this.#waiting) {
      if (taken > 0 && bytes >= CHUNK_BYTES) break;
      bytes += Buffer.byteLength(line);
      taken += 1;
    }
    this.#waitingBytes -= bytes;
    return Buffer.from(this.#waiting.splice(0, taken).join(""));
  }

  async #writeChunk(): Promise<void> {
    while (this.#chunk.length > 0 && this.#file !== undefined) {
      const written = await this.#file.write(this.#chunk);
      this.#chunk = this.#chunk.subarray(written);
      this.#size += written;
    }
  }

  #worked(): void {
    if (this.#isFailing) this.#use.log.info("the session log is written again");
    this.#isFailing = false;
    const lost = this.#lost;
    this.#lost = 0;
    if (lost > 0) this.#use.lost(lost);
  }

  #failed(error: unknown): void {
    if (!this.#isFailing) {
      this.#use.log.error("the session log cannot be written; tried again each second", {
        error: String(error),
      });
    }
    this.#isFailing = true;
    if (!this.#isOpen) return;
    this.#cancelAgain = this.#use.clock.after(AGAIN_MS, () => this.#again());
  }

  #again(): void {
    this.#cancelAgain?.();
    this.#cancelAgain = undefined;
    this.#start();
  }
}
