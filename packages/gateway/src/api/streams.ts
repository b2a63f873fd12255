import type { Port } from "@nomq/core";
import type { Context } from "hono";
import type { Caller } from "./caller.ts";
import { failFor } from "./failure.ts";

/** How many streams may be open: of everyone, and of one caller. */
export interface StreamLimits {
  readonly all: number;
  readonly each: number;
}

/** The streams that are open now, over all listeners that share it. */
export interface Streams {
  /** Takes a place; undefined when there is none. `end` is called once to end the stream from here. */
  open(caller: Caller, end: () => void): OpenStream | undefined;
  /** Ends all; resolves when they are gone. */
  end(): Promise<void>;
  readonly count: number;
}

/** A stream's place; `close` gives it back. */
export interface OpenStream {
  close(): void;
}

/** What is open at most unless said otherwise. */
const DEFAULT_STREAMS: StreamLimits = { all: 256, each: 64 };

/** The answer where there is no place. */
export function tooManyStreams(context: Context, { count }: Streams): Response {
  const text = `${count} streams are open; this caller, or all together, may have no more`;
  return failFor(context, 429, { code: "too-many-streams", text, afterMs: 10_000 });
}

interface Place {
  readonly caller: Caller;
  readonly end: () => void;
  readonly gone: Promise<void>;
}

/** Makes the register of streams; those of callers whose account ends, end with it. */
export function createStreams(
  { onAccessChange }: Pick<Port, "onAccessChange">,
  limits: StreamLimits = DEFAULT_STREAMS,
): Streams {
  const places = new Set<Place>();
  // Lives as long as the hub that it listens to.
  onAccessChange(() => {
    for (const { caller, end } of places) if (caller.isCurrent?.() === false) end();
  });
  const of = (principal: string): number =>
    [...places].filter(({ caller }) => caller.principal === principal).length;
  return {
    get count() {
      return places.size;
    },
    open(caller, end) {
      if (places.size >= limits.all || of(caller.principal) >= limits.each) return undefined;
      const gone = Promise.withResolvers<void>();
      const place = { caller, end, gone: gone.promise };
      places.add(place);
      return {
        close() {
          places.delete(place);
          gone.resolve();
        },
      };
    },
    async end() {
      const meant = [...places];
      for (const place of meant) place.end();
      await Promise.all(meant.map(({ gone }) => gone));
    },
  };
}
