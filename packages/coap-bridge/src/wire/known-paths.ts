import { type CoapOption, OptionNumber } from "./coap-message.ts";

const PLACES = 256;
/** Longer paths are read anew each time. */
const MOST_BYTES = 128;

interface Known<T> {
  /** The values of the Uri-Path options, copied. */
  readonly levels: readonly Uint8Array[];
  readonly target: T;
}

/** What paths mean that were asked for lately, found by their bytes: to read names and check them costs ten times as much. */
export class KnownPaths<T> {
  readonly #places: (Known<T> | undefined)[] = Array.from({ length: PLACES });

  /** Of the Uri-Path options among these, which are in ascending order. */
  get(options: readonly CoapOption[]): T | undefined {
    const known = this.#places[placeOf(options)];
    return known !== undefined && areSame(known.levels, options) ? known.target : undefined;
  }

  set(options: readonly CoapOption[], target: T): void {
    const levels = options.filter(({ number }) => number === OptionNumber.uriPath).map(({ value }) => value);
    if (levels.reduce((sum, { length }) => sum + length, 0) > MOST_BYTES) return;
    this.#places[placeOf(options)] = { levels: levels.map((level) => Uint8Array.from(level)), target };
  }
}

/** FNV-1a over lengths and bytes. */
function placeOf(options: readonly CoapOption[]): number {
  let hash = 0x811c9dc5;
  for (const { number, value } of options) {
    if (number > OptionNumber.uriPath) break;
    if (number !== OptionNumber.uriPath) continue;
    hash = Math.imul(hash ^ value.length, 0x01000193);
    for (let at = 0; at < value.length; at += 1) hash = Math.imul(hash ^ (value[at] ?? 0), 0x01000193);
  }
  return (hash ^ (hash >>> 16)) & (PLACES - 1);
}

function areSame(levels: readonly Uint8Array[], options: readonly CoapOption[]): boolean {
  let level = 0;
  for (const { number, value } of options) {
    if (number > OptionNumber.uriPath) break;
    if (number !== OptionNumber.uriPath) continue;
    const known = levels[level];
    if (known === undefined || known.length !== value.length) return false;
    for (let at = 0; at < value.length; at += 1) if (value[at] !== known[at]) return false;
    level += 1;
  }
  return level === levels.length;
}
