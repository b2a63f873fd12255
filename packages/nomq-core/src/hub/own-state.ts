import type { Boot } from "../clock.ts";
import type { Store, Write } from "./store.ts";
import type { ClockStep } from "./time.ts";

/** The name under which the hub keeps what is its own; no bridge has it. */
const OWNER = "$hub";

const CLOCK = "clock";
const AWAY = "away/";
const OWED = "owed/";

/** The clock as an earlier run last saw it, and the steps that its messages' expiries still need. */
export interface KeptClock {
  /** Unix milliseconds. */
  readonly wall: number;
  /** Absent where the system does not tell. */
  readonly boot?: Boot;
  readonly steps: readonly ClockStep[];
}

/** What the hub kept of itself. */
export interface OwnState {
  readonly clock: KeptClock | undefined;
  /** Durable attachments that were not claimed, and since when; Unix milliseconds. */
  readonly away: ReadonlyMap<string, number>;
  /** Channels that an attachment is owed though the store has never held them. */
  readonly owed: ReadonlyMap<string, readonly string[]>;
}

/** Reads it; what cannot be read is as if it had not been kept. */
export async function readOwnState(store: Store): Promise<OwnState> {
  let clock: KeptClock | undefined;
  const away = new Map<string, number>();
  const owed = new Map<string, string[]>();
  for await (const [key, value] of store.state(OWNER)) {
    const name = Buffer.from(key).toString();
    if (name === CLOCK) clock = clockIn(value);
    else if (name.startsWith(AWAY)) {
      const since = Number(Buffer.from(value).toString());
      if (Number.isFinite(since)) away.set(name.slice(AWAY.length), since);
    } else if (name.startsWith(OWED)) {
      const [attachment = "", channel = ""] = name.slice(OWED.length).split("\0");
      owed.set(attachment, [...(owed.get(attachment) ?? []), channel]);
    }
  }
  return { clock, away, owed };
}

export function keepClock(clock: KeptClock): Write {
  return own(CLOCK, JSON.stringify(clock));
}

/** Since when nobody has claimed the attachment; undefined: it is claimed, or gone. */
export function keepAway(attachment: string, since: number | undefined): Write {
  return own(`${AWAY}${attachment}`, since === undefined ? undefined : String(since));
}

/** Whether the attachment is owed the channel. */
export function keepOwed(attachment: string, channel: string, isOwed: boolean): Write {
  // Neither name holds a NUL.
  return own(`${OWED}${attachment}\0${channel}`, isOwed ? "" : undefined);
}

function own(key: string, value: string | undefined): Write {
  const change = { write: "state", owner: OWNER, key: Buffer.from(key) } as const;
  return value === undefined ? change : { ...change, value: Buffer.from(value) };
}

function clockIn(value: Uint8Array): KeptClock | undefined {
  try {
    const kept: unknown = JSON.parse(Buffer.from(value).toString());
    if (typeof kept !== "object" || kept === null || !("wall" in kept) || !("steps" in kept))
      return undefined;
    const { wall, steps } = kept;
    if (typeof wall !== "number" || !Array.isArray(steps)) return undefined;
    const boot = "boot" in kept ? bootIn(kept.boot) : undefined;
    return { wall, steps: steps.filter(isStep), ...(boot === undefined ? {} : { boot }) };
  } catch {
    return undefined;
  }
}

function bootIn(kept: unknown): Boot | undefined {
  if (typeof kept !== "object" || kept === null || !("id" in kept) || !("ms" in kept)) return undefined;
  const { id, ms } = kept;
  return typeof id === "string" && typeof ms === "number" ? { id, ms } : undefined;
}

function isStep(step: unknown): step is ClockStep {
  if (typeof step !== "object" || step === null || !("below" in step) || !("by" in step)) return false;
  return typeof step.below === "number" && typeof step.by === "number";
}
