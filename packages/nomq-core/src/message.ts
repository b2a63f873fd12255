/** How hard each hop tries to hand a message on: 0 at most once, 1 at least once, 2 exactly once. */
export type Qos = 0 | 1 | 2;

/**
 * What the hub routes. Immutable: a bridge that wants another value makes another draft.
 * Times are Unix milliseconds of the hub's clock.
 */
export interface Message {
  /** Unique over all runs of this hub; 32 lower-case hex digits, the last 16 of them `seq`. */
  readonly id: string;
  /** Hub-wide, rising, never reused, also over restarts. */
  readonly seq: number;
  readonly channel: string;
  readonly payload: Uint8Array;
  readonly qos: Qos;
  /** Whether this message set, replaced or (empty payload) cleared the channel's retained value. */
  readonly retain: boolean;
  /** 0 (lowest, the default) to 15. */
  readonly priority: number;
  /** MIME type of the payload. */
  readonly contentType?: string;
  /** The message is delivered nowhere from this moment on. Equal to `publishedAt` for "now or never" (TTL 0). */
  readonly expiresAt?: number;
  readonly publishedAt: number;
  /** Name of the attachment, or else of the bridge, through which the message came in. */
  readonly origin: string;
  readonly responseChannel?: string;
  readonly correlation?: Uint8Array;
  /** Ordered pairs; a name may repeat (MQTT 5 user properties, section 3.3.2.3.7). */
  readonly properties?: readonly (readonly [name: string, value: string])[];
}

/** What a bridge hands to {@link Port.publish}; the hub fills in the rest. */
export interface Draft {
  readonly channel: string;
  readonly payload: Uint8Array;
  /** Default 0. */
  readonly qos?: Qos;
  /** Default false. */
  readonly retain?: boolean;
  /** Default 0; values outside 0 to 15 are refused as `priority-invalid`. */
  readonly priority?: number;
  readonly contentType?: string;
  /** Time to live in milliseconds. 0 = now or never; absent = no expiry. */
  readonly ttlMs?: number;
  readonly responseChannel?: string;
  readonly correlation?: Uint8Array;
  readonly properties?: readonly (readonly [name: string, value: string])[];
}

/** The longest channel name and filter in bytes of UTF-8 (MQTT 5.0 section 1.5.4). */
export const MAX_NAME_BYTES = 65_535;

/** The longest other text of a message in bytes of UTF-8 (MQTT 5.0 section 1.5.4). */
export const MAX_TEXT_BYTES = 65_535;

/** The most levels of a filter: each costs memory of its own, and channels as deep are still reached by `#`. */
export const MAX_FILTER_LEVELS = 512;

/**
 * The most characters of a filter, for it is a key of many maps: V8 hashes strings of more than 16,383 characters by
 * their length alone, and a client may have 10,000 filters.
 */
export const MAX_FILTER_LENGTH = 8192;

const FORBIDDEN_IN_CHANNEL = /[\0+#]/;

/**
 * True for 1 to 65,535 bytes of well-formed UTF-8 without NUL, `+` and `#` whose first level does not start
 * with `$`.
 */
export function isValidChannel(name: string): boolean {
  if (name.length === 0 || name.startsWith("$") || FORBIDDEN_IN_CHANNEL.test(name)) return false;
  return fitsAsUtf8(name);
}

/**
 * True for a channel pattern of at most {@link MAX_FILTER_LENGTH} characters and {@link MAX_FILTER_LEVELS} levels: `+`
 * stands for one whole level, `#` for all that follow (MQTT 5.0 section 4.7.1).
 */
export function isValidFilter(filter: string): boolean {
  if (filter.length === 0 || filter.length > MAX_FILTER_LENGTH) return false;
  if (filter.includes("\0") || !fitsAsUtf8(filter)) return false;
  const levels = filter.split("/", MAX_FILTER_LEVELS + 1);
  if (levels.length > MAX_FILTER_LEVELS) return false;
  return levels.every((level, at) => {
    if (level === "#") return at === levels.length - 1;
    return level === "+" || !/[+#]/.test(level);
  });
}

/** Whether the filter's pattern covers the channel; `#` also covers its parent level (MQTT 5.0 section 4.7.1.2). */
export function filterMatches(filter: string, channel: string): boolean {
  if (filter === "#" || filter === channel) return true;
  // Nothing is split: this runs once for every name the hub knows.
  let at = 0;
  let on = 0;
  while (at <= filter.length) {
    if (filter[at] === "#") return true;
    if (on > channel.length) return false;
    const filterEnd = levelEnd(filter, at);
    const channelEnd = levelEnd(channel, on);
    const isAny = filter[at] === "+" && filterEnd === at + 1;
    if (!isAny && filter.slice(at, filterEnd) !== channel.slice(on, channelEnd)) return false;
    at = filterEnd + 1;
    on = channelEnd + 1;
  }
  return on > channel.length;
}

function levelEnd(name: string, from: number): number {
  const slash = name.indexOf("/", from);
  return slash === -1 ? name.length : slash;
}

function fitsAsUtf8(name: string): boolean {
  if (!name.isWellFormed()) return false;
  // At most three bytes a UTF-16 unit: only long names need counting.
  return name.length * 3 <= MAX_NAME_BYTES || Buffer.byteLength(name, "utf8") <= MAX_NAME_BYTES;
}
