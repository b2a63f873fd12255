import { SET_SINCE } from "../session/clock-cause.ts";

/** Bytes of an NTP packet without extensions and MAC (RFC 5905, section 7.3). */
export const TIME_PACKET_BYTES = 48;

const CLIENT = 3;
const SERVER = 4;
const NEWEST_VERSION = 4;
const NOT_SYNCHRONISED = 3;

/**
 * We cannot know what keeps the machine's clock, so we claim little: a client that has a better server prefers it. As
 * with the "local clock" drivers of NTP servers, the reference id is that of no real server.
 */
const STRATUM = 10;
const LOCAL_CLOCK = Uint8Array.of(127, 127, 1, 0);
/** The kiss code of a server that has no time yet (RFC 5905, section 7.4). */
const INIT = Buffer.from("INIT", "ascii");
/** 2^-10 s, just under a millisecond: what our clock tells apart. */
const PRECISION = -10;
/** Seconds, 16.16: how wrong the clock may be; below what NTP clients still take (1.5 s). */
const DISPERSION = 1 << 16;
/** From 1900, where NTP counts from, to 1970. */
const UNIX_1900 = 2_208_988_800;

const ORIGIN_AT = 24;
const RECEIVE_AT = 32;
const TRANSMIT_AT = 40;

/**
 * The server's answer to one request of an SNTP or NTP client (RFC 4330, section 6; RFC 5905, section 9.2), always 48
 * bytes. `now` is Unix milliseconds. Undefined for everything but a client's request (mode 3) of versions 1 to 4 with
 * at least 48 bytes: an answer is never longer than what it answers, and no answer is answered.
 */
export function timeReply(request: Uint8Array, now: number): Uint8Array | undefined {
  const [first = 0, , poll = 0] = request;
  const version = (first >> 3) & 7;
  if (request.length < TIME_PACKET_BYTES || (first & 7) !== CLIENT) return undefined;
  if (version < 1 || version > NEWEST_VERSION) return undefined;
  const isSet = now >= SET_SINCE * 1000;
  const reply = new Uint8Array(TIME_PACKET_BYTES);
  const view = new DataView(reply.buffer);
  reply[0] = ((isSet ? 0 : NOT_SYNCHRONISED) << 6) | (version << 3) | SERVER;
  reply[1] = isSet ? STRATUM : 0;
  reply[2] = poll;
  view.setInt8(3, PRECISION);
  view.setUint32(8, DISPERSION);
  reply.set(isSet ? LOCAL_CLOCK : INIT, 12);
  // When the clock was last set nobody tells us: the second in which it is read, and nothing for one never set.
  if (isSet) writeTimestamp(view, 16, Math.floor(now / 1000) * 1000);
  reply.set(request.subarray(TRANSMIT_AT, TIME_PACKET_BYTES), ORIGIN_AT);
  writeTimestamp(view, RECEIVE_AT, now);
  writeTimestamp(view, TRANSMIT_AT, now);
  return reply;
}

/** Seconds and their 2^32nds since 1900; the seconds begin again every 2^32, first on 7 February 2036 (section 6). */
function writeTimestamp(view: DataView, at: number, unixMs: number): void {
  const seconds = Math.floor(unixMs / 1000);
  const fraction = Math.floor(((unixMs - seconds * 1000) * 2 ** 32) / 1000);
  view.setUint32(at, (seconds + UNIX_1900) % 2 ** 32);
  view.setUint32(at + 4, fraction);
}
