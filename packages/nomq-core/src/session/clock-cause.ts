import { isFirstOffset, UNHEARD_OFFSETS } from "./clock-offset.ts";

const YEAR = 31_556_952;
const DAY = 86_400;
const UNIX_2000 = 946_684_800;
const UNIX_2021 = 1_609_459_200;
/** A machine whose clock shows less was never set. */
export const SET_SINCE = 1_704_067_200;

/** Clocks that are right and count from elsewhere: what they show less Unix seconds. */
const FOREIGN: readonly (readonly [offset: number, text: string])[] = [
  [UNIX_2000, "it counts from 1970, and the 30 years to 2000 were added once more"],
  [2_208_988_800, "it counts from 1900, as NTP does: subtract 2208988800"],
  [-315_964_800, "it counts from 1980, as GPS does: add 315964800"],
];

/**
 * The likely cause of a clock that no rule of protocol.md section 7 accepts, in words. `offset` is what it shows less
 * `now`, both in seconds.
 */
export function likelyCause(offset: number, now: number): string {
  if (now < SET_SINCE) return "this machine's own clock is not set: set it first";
  const shown = now + offset;
  if (shown < YEAR) return `nobody has set it: it counts from 0 and shows ${spanText(shown)}`;
  if (shown >= UNIX_2000 && shown < UNIX_2000 + YEAR) return "nobody has set it: it began at 2000-01-01";
  if (shown >= UNIX_2021 && shown < UNIX_2021 + YEAR) {
    return "nobody has set it: it began at 2021-01-01, as a Raspberry Pi Pico does";
  }
  const foreign = FOREIGN.find(([epoch]) => isFirstOffset(offset - epoch, "learn"));
  return foreign === undefined ? wrongBy(offset) : foreign[1];
}

/** What happened to a clock that was `before` seconds ahead of ours when its session began and is `offset` now. */
export function likelyMove(before: number, offset: number): string {
  const moved = offset - before;
  return `it has moved ${spanText(Math.abs(moved))} ${moved < 0 ? "back" : "ahead"} since its session began`;
}

/** Against whichever epoch is nearer. */
function wrongBy(offset: number): string {
  const [epoch = 0] = [...UNHEARD_OFFSETS].sort(
    (one, other) => Math.abs(offset - one) - Math.abs(offset - other),
  );
  const off = offset - epoch;
  const counting = epoch === 0 ? "" : ", counting from 2000";
  return `it is ${spanText(Math.abs(off))} ${off < 0 ? "behind" : "ahead"}${counting}`;
}

/** A span of seconds by its two largest units: `2 h 7 min`. */
function spanText(seconds: number): string {
  if (seconds >= 2 * YEAR) return `${Math.round(seconds / YEAR)} years`;
  const units = [
    [DAY, "d"],
    [3600, "h"],
    [60, "min"],
    [1, "s"],
  ] as const;
  const at = units.findIndex(([size]) => seconds >= size);
  if (at === -1) return "0 s";
  let left = seconds;
  const parts = units.slice(at, at + 2).map(([size, unit]) => {
    const count = Math.floor(left / size);
    left -= count * size;
    return count === 0 ? "" : `${count} ${unit}`;
  });
  return parts.filter((part) => part !== "").join(" ");
}
