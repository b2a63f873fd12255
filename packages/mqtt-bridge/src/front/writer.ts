import type { Duplex } from "node:stream";
import type { CancelTimer, Clock } from "@nomq/core";

/** More than this waiting in one turn is written at once. */
const FLUSH_BYTES = 64 * 1024;
/** A socket with more than this unsent is behind. */
const BEHIND_BYTES = 1024 * 1024;
/** A socket that takes nothing for this long is cut. */
const STALLED_MS = 10_000;

/** Gathers what many connections write in one turn of the event loop: one write(2) per connection and turn. */
export interface WriteTurn {
  add(flush: () => void): void;
}

/** Makes the one gatherer of a bridge. */
export function createWriteTurn(): WriteTurn {
  let dirty: (() => void)[] = [];
  const flushAll = (): void => {
    const due = dirty;
    dirty = [];
    for (const flush of due) flush();
  };
  return {
    add(flush) {
      if (dirty.length === 0) setImmediate(flushAll);
      dirty.push(flush);
    },
  };
}

/** The sending half of one connection. */
export interface Writer {
  write(frame: Buffer): void;
  /** False while so much is unsent that only what must go should be written. */
  hasRoom(): boolean;
  /** Since when the socket takes nothing, monotonic milliseconds; undefined: it does. */
  behindSince(): number | undefined;
  /** Writes what is gathered now. */
  flush(): void;
  /** No timer stays behind. */
  close(): void;
}

/** What a writer is made of. */
export interface WriterOptions {
  readonly clock: Clock;
  readonly turn: WriteTurn;
  /** The socket takes data again. */
  drained(): void;
  /** The socket has taken nothing for 10 s. */
  stalled(): void;
}

/** Makes the writer of a socket. */
export function createWriter(socket: Duplex, options: WriterOptions): Writer {
  let frames: Buffer[] = [];
  let bytes = 0;
  let cancelStall: CancelTimer | undefined;
  let behindSince: number | undefined;
  let closed = false;

  const flush = (): void => {
    if (frames.length === 0) return;
    const data = frames.length === 1 ? frames[0] : Buffer.concat(frames, bytes);
    frames = [];
    bytes = 0;
    if (closed || !socket.writable) return;
    const isTaken = socket.write(data);
    if (isTaken || cancelStall !== undefined) return;
    behindSince = options.clock.monotonic();
    cancelStall = options.clock.after(STALLED_MS, options.stalled);
  };
  socket.on("drain", () => {
    cancelStall?.();
    cancelStall = undefined;
    behindSince = undefined;
    if (!closed) options.drained();
  });

  return {
    write(frame) {
      if (closed) return;
      if (frames.length === 0) options.turn.add(flush);
      frames.push(frame);
      bytes += frame.length;
      if (bytes >= FLUSH_BYTES) flush();
    },
    hasRoom: () => bytes + socket.writableLength < BEHIND_BYTES,
    behindSince: () => behindSince,
    flush,
    close() {
      closed = true;
      frames = [];
      bytes = 0;
      cancelStall?.();
    },
  };
}
