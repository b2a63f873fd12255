import { DEFAULT_TTL, MAX_PENDING, type State, seal, TYPE, u32 } from "./v1-state.ts";
import { v1ChannelId } from "./v1-wire.ts";

/** What a device program passes to `publish`. */
export interface V1Publish {
  readonly channel: string;
  /** 1 to 1,024 characters. */
  readonly message: string;
  /** As given: 3 and above behave as on a device. Default 0. */
  readonly qos?: number;
  readonly retain?: boolean;
  /** Clamped to 0 to 15. Default 0. */
  readonly priority?: number;
  /** Seconds. Default 3600. */
  readonly ttl?: number;
}

/** What a call of the device's program put on the wire. */
export interface V1Sent {
  readonly packetId?: number;
  readonly datagrams: readonly Uint8Array[];
  readonly log: readonly string[];
}

const MAX_CHANNELS = 20;
const MAX_CHARACTERS = 1_024;
const MAX_RETAINED = 5;
const SESSION_SECONDS = 300;

const refused = (line: string): V1Sent => ({ datagrams: [], log: [line] });

/** The device program's `publish`. */
export function publish(state: State, message: V1Publish, now: number): V1Sent {
  const characters = [...message.message].length;
  if (characters < 1 || characters > MAX_CHARACTERS) return refused("ERROR: Invalid message");
  renewSession(state, now);
  const { channel, qos = 0, retain = false, ttl = DEFAULT_TTL } = message;
  const priority = Math.min(Math.max(message.priority ?? 0, 0), 15);
  const packetId = u32(state.random);
  const flags = (qos & 3) | (retain ? 4 : 0) | (priority << 4);
  const frame = {
    type: TYPE.publish,
    flags,
    packetId,
    ttl: ttl & 0xffff,
    channelId: v1ChannelId(channel),
    plaintext: publishPlaintext(state, message.message, now),
  };
  const datagram = seal(state, frame, now);
  if (retain) keep(state, channel, { datagram, at: now });
  const log = qos > 0 ? track(state, packetId, { qos, expires: now + ttl }) : [];
  return { packetId, datagrams: [datagram], log };
}

function publishPlaintext(state: State, message: string, now: number): Uint8Array {
  const body = Buffer.from(message, "utf8");
  const prefix = Buffer.alloc(16);
  prefix.writeBigUInt64BE(BigInt(now), 0);
  prefix.writeUInt32BE(u32(state.random), 8);
  prefix.writeUInt32BE(body.length, 12);
  return Buffer.concat([prefix, body]);
}

function renewSession(state: State, now: number): void {
  if (Number.isNaN(state.session.since)) state.session.since = now;
  if (now - state.session.since <= SESSION_SECONDS) return;
  state.session = { id: u32(state.random), since: now };
  state.nonces.clear();
}

function keep(state: State, channel: string, entry: { datagram: Uint8Array; at: number }): void {
  const kept = state.retained.get(channel) ?? [];
  state.retained.set(channel, [...kept, entry].slice(-MAX_RETAINED));
}

function track(
  state: State,
  id: number,
  { qos, expires }: { qos: number; expires: number },
): readonly string[] {
  if (state.pending.size >= MAX_PENDING) return ["WARNING: Pending messages limit reached"];
  state.pending.set(id, { state: qos === 2 ? "PUBLISH_SENT" : "NONE", expires });
  return [];
}

/** The device program's `subscribe`. */
export function subscribe(state: State, channel: string, now: number): V1Sent {
  if (channel === "") return refused("ERROR: Invalid channel");
  if (state.channels.size >= MAX_CHANNELS) return refused("ERROR: Max channel limit reached");
  const id = v1ChannelId(channel);
  const isNew = !state.channels.has(id.toString("hex"));
  state.channels.set(id.toString("hex"), channel);
  const packetId = u32(state.random);
  const frame = { type: TYPE.subscribe, flags: 0, packetId, channelId: id, plaintext: Buffer.from(channel) };
  const kept = isNew ? (state.retained.get(channel) ?? []) : [];
  return { packetId, datagrams: [seal(state, frame, now), ...kept.map(({ datagram }) => datagram)], log: [] };
}

/** The device program's `unsubscribe`. */
export function unsubscribe(state: State, channel: string, now: number): V1Sent {
  const id = v1ChannelId(channel);
  state.channels.delete(id.toString("hex"));
  const packetId = u32(state.random);
  const frame = {
    type: TYPE.unsubscribe,
    flags: 0,
    packetId,
    channelId: id,
    plaintext: Buffer.from(channel),
  };
  return { packetId, datagrams: [seal(state, frame, now)], log: [] };
}
