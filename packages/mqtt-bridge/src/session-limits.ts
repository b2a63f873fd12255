import { NomqError } from "@nomq/core";

/** What sessions that outlive their connection may hold in memory and in the store. */
export interface SessionLimits {
  /** Such sessions. A further one is refused: 0x97, or return code 3. Default 10,000. */
  readonly most?: number;
  /**
   * Messages at QoS 1 and 2 of all sessions together, one for every session that waits for it. Beyond it the session
   * with the most waiting loses its oldest (`overflow`). Default 250,000, some 500 MB of memory.
   */
  readonly messages?: number;
  /** Their bytes: topics, payloads and properties, once for all sessions that wait for one. Default 256 MiB. */
  readonly bytes?: number;
  /** Waiting for one session: beyond it its oldest is dropped (`session-full`). Default 10,000 and 64 MiB. */
  readonly each?: { readonly messages?: number; readonly bytes?: number };
  /**
   * Filters of all clients together, of ten levels on average; a further one is refused: 0x97, or 0x80. One client has at
   * most 10,000. Default 200,000.
   */
  readonly subscriptions?: number;
  /**
   * Seconds that a session outlives its connection by at most; who asks for more is told in CONNACK. Infinite: whatever
   * is asked for. Default 30 days.
   */
  readonly expiry?: number;
}

/** With every default filled in. */
export interface SessionBounds {
  readonly most: number;
  readonly all: { readonly messages: number; readonly bytes: number };
  readonly each: { readonly messages: number; readonly bytes: number };
  readonly subscriptions: number;
  readonly expiry: number;
}

const MIB = 1024 * 1024;
const DAY_S = 24 * 60 * 60;
/** MQTT 5.0 section 3.1.2.11.2: all ones is for ever. */
const FOR_EVER = 0xffff_ffff;

/** Fills in defaults. Throws `config-invalid` with the name of what is no whole number from 1 up. */
export function sessionBounds(limits: SessionLimits = {}): SessionBounds {
  const { most = 10_000, messages = 250_000, bytes = 256 * MIB, subscriptions = 200_000 } = limits;
  const each = { messages: 10_000, bytes: 64 * MIB, ...limits.each };
  const { expiry = 30 * DAY_S } = limits;
  const given = { most, messages, bytes, subscriptions };
  for (const [name, value] of Object.entries(given)) check(`mqtt.sessions.${name}`, value);
  for (const [name, value] of Object.entries(each)) check(`mqtt.sessions.each.${name}`, value);
  if (expiry !== Number.POSITIVE_INFINITY) check("mqtt.sessions.expiry", expiry);
  return { most, all: { messages, bytes }, each, subscriptions, expiry: Math.min(expiry, FOR_EVER) };
}

function check(path: string, value: number): void {
  if (!Number.isSafeInteger(value) || value < 1)
    throw new NomqError("config-invalid", `${path} must be a whole number from 1 up`);
}
