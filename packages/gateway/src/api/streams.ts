import type { LedgerRow, Port } from "@nomq/core";
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
  /** Ends all; resolves when they are gone, or after two seconds without those that do not go. */
  end(): Promise<void>;
  readonly count: number;
  /** What became of messages at streams that have ended. */
  ended(): LedgerRow;
}

/** A stream's place. */
export interface OpenStream {
  /** Gives it back; `row`: what its attachment counted. */
  close(row?: LedgerRow): void;
}

/** What is open at most unless said otherwise. */
const DEFAULT_STREAMS: StreamLimits = { all: 256, each: 64 };

/** How often an idle stream says something, so that a connection whose other side vanished is noticed. */
export const KEEP_ALIVE_MS = 15_000;

/** Their connections end with the listener's, whatever they do. */
const END_MS = 2_000;

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
  { clock, onAccessChange }: Pick<Port, "clock" | "onAccessChange">,
  limits: StreamLimits = DEFAULT_STREAMS,
): Streams {
  const places = new Set<Place>();
  // Lives as long as the hub that it listens to.
  onAccessChange(() => {
    for (const { caller, end } of places) if (caller.isCurrent?.() === false) end();
  });
  const of = (principal: string): number =>
    [...places].filter(({ caller }) => caller.principal === principal).length;
  let ended = NOTHING;
  return {
    ended: () => ended,
    get count() {
      return places.size;
    },
    open(caller, end) {
      if (places.size >= limits.all || of(caller.principal) >= limits.each) return undefined;
      const gone = Promise.withResolvers<void>();
      const place = { caller, end, gone: gone.promise };
      places.add(place);
      return {
        close(row) {
          if (row !== undefined && places.has(place)) ended = sumOf(ended, row);
          places.delete(place);
          gone.resolve();
        },
      };
    },
    async end() {
      const meant = [...places];
      for (const place of meant) place.end();
      const late = Promise.withResolvers<void>();
      const cancel = clock.after(END_MS, () => late.resolve());
      await Promise.race([Promise.all(meant.map(({ gone }) => gone)), late.promise]);
      cancel();
    },
  };
}

const NOTHING: LedgerRow = {
  ...{ accepted: 0, delivered: 0, expired: 0, refused: 0, uncertain: 0, pending: 0 },
  dropped: {},
};

function sumOf(a: LedgerRow, b: LedgerRow): LedgerRow {
  const reasons = [...new Set([...Object.keys(a.dropped), ...Object.keys(b.dropped)])];
  return {
    accepted: a.accepted + b.accepted,
    delivered: a.delivered + b.delivered,
    expired: a.expired + b.expired,
    dropped: Object.fromEntries(
      reasons.map((each) => [each, (a.dropped[each] ?? 0) + (b.dropped[each] ?? 0)]),
    ),
    refused: a.refused + b.refused,
    uncertain: a.uncertain + b.uncertain,
    pending: 0,
  };
}
