import { isValidChannel } from "@nomq/core";
import { type CoapOption, OptionNumber } from "./coap-message.ts";
import { KnownPaths } from "./known-paths.ts";
import { readText } from "./option-value.ts";

/** The longest Uri-Path option in bytes (RFC 7252 section 5.10): no channel with a longer level has a path. */
export const MAX_SEGMENT_BYTES = 255;

/**
 * Why a path under the prefix names no channel: bytes that are no UTF-8 (an option value outside its range, RFC 7252
 * section 5.4.3), a `/` inside one segment, `.` or `..` (section 5.10.1), or a name the hub knows as invalid (`$SYS`,
 * `a+b`, a NUL, nothing at all).
 */
export type PathFault = "not-utf8" | "slash-in-segment" | "dot-segment" | "channel-invalid";

/** What the Uri-Path options of a request name. `elsewhere`: not under the prefix, or under `/.well-known`. */
export type PathTarget =
  | { readonly is: "channel"; readonly channel: string }
  | { readonly is: "elsewhere"; readonly segments: readonly string[] }
  | { readonly is: "refused"; readonly fault: PathFault };

/** Paths of channels, both ways: one Uri-Path option per level, never split, joined or percent-decoded. */
export interface UriPaths {
  /** Reads the Uri-Path options among these, which are in ascending order. */
  target(options: readonly CoapOption[]): PathTarget;
  /** The values of a channel's Uri-Path options; undefined for a name that no path can say. */
  segments(channel: string): readonly Uint8Array[] | undefined;
  /** The channel's path as a URI reference with percent-encoding, `/site/a%20b`, as in links; undefined likewise. */
  href(channel: string): string | undefined;
}

const NOT_UTF8: PathTarget = { is: "refused", fault: "not-utf8" };
const SLASH: PathTarget = { is: "refused", fault: "slash-in-segment" };
const DOTS: PathTarget = { is: "refused", fault: "dot-segment" };
const INVALID: PathTarget = { is: "refused", fault: "channel-invalid" };
const WELL_KNOWN = ".well-known";

/** Makes the conversion for a prefix: a path such as `site/ps` or `/site/ps/`; empty: channels start at the root. */
export function createUriPaths(prefix = ""): UriPaths {
  const before = prefixLevels(prefix);

  const levelsOf = (options: readonly CoapOption[]): string[] | undefined => {
    const levels: string[] = [];
    for (const { number, value } of options) {
      if (number > OptionNumber.uriPath) break;
      if (number !== OptionNumber.uriPath) continue;
      const level = readText(value);
      if (level === undefined) return undefined;
      levels.push(level);
    }
    return levels;
  };
  const textSegments = (channel: string): readonly string[] | undefined => {
    const levels = channel.split("/");
    const isReserved = before.length === 0 && levels[0] === WELL_KNOWN;
    if (isReserved || !isValidChannel(channel) || !levels.every(isSegment)) return undefined;
    return [...before, ...levels];
  };
  const known = new KnownPaths<PathTarget>();
  const read = (options: readonly CoapOption[]): PathTarget => {
    const levels = levelsOf(options);
    if (levels === undefined) return NOT_UTF8;
    const isUnder = before.every((level, at) => levels[at] === level) && levels.length > before.length;
    if (!isUnder || levels[0] === WELL_KNOWN) return { is: "elsewhere", segments: levels };
    const own = before.length === 0 ? levels : levels.slice(before.length);
    for (const level of own) {
      if (level.includes("/")) return SLASH;
      if (isDots(level)) return DOTS;
    }
    const channel = own.join("/");
    return isValidChannel(channel) ? { is: "channel", channel } : INVALID;
  };
  return {
    target(options) {
      const found = known.get(options);
      if (found !== undefined) return found;
      const target = read(options);
      if (target.is === "channel") known.set(options, target);
      return target;
    },
    segments: (channel) => textSegments(channel)?.map((level) => Buffer.from(level)),
    href: (channel) => {
      const segments = textSegments(channel);
      return segments && hrefOf(segments);
    },
  };
}

/** Levels of a configured path; slashes around it mean nothing. */
function prefixLevels(prefix: string): readonly string[] {
  const trimmed = prefix.replace(/^\/+|\/+$/g, "");
  return trimmed === "" ? [] : trimmed.split("/");
}

/** `.` and `..` are resolved in URIs, and never sent (RFC 7252 section 6.4). */
const isDots = (level: string): boolean => level === "." || level === "..";

/** Whether a level can be a Uri-Path option. */
export const isSegment = (level: string): boolean =>
  !isDots(level) && Buffer.byteLength(level) <= MAX_SEGMENT_BYTES;

/** Levels as the path of a URI, percent-encoded: `/site/a%20b`. */
export const hrefOf = (levels: readonly string[]): string => `/${levels.map(encodeURIComponent).join("/")}`;
