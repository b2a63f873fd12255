import { randomBytes } from "node:crypto";
import type { Endpoint } from "../transport.ts";
import { publish, subscribe, unsubscribe, type V1Publish, type V1Sent } from "./v1-sender.ts";
import { MAX_PENDING, type State, seal, TYPE, u32, type V1Pending } from "./v1-state.ts";
import { isMicroPythonUtf8, openV1, type V1Frame, type V1Keys, v1ChannelId } from "./v1-wire.ts";

/** A message that reached the device's program. */
export interface V1Delivery {
  readonly channel: string;
  readonly payload: Uint8Array;
  /** The payload as UTF-8, for comparing; what is not UTF-8 to us shows as U+FFFD. */
  readonly text: string;
}

/** What one datagram did. */
export interface V1Received {
  readonly delivered?: V1Delivery;
  /** Goes to where the datagram came from. */
  readonly reply?: { readonly type: number; readonly datagram: Uint8Array };
  readonly log: readonly string[];
  /** Milliseconds the device sleeps before it looks at the next datagram. */
  readonly sleepMs: number;
}

/** How to make a {@link V1Device}. */
export interface V1DeviceOptions extends V1Keys {
  /** Channels it is subscribed to from the start; at most 20. */
  readonly channels?: readonly string[];
  /** Random bytes for ids, nonces and IVs. Default: the machine's. */
  readonly random?: (bytes: number) => Uint8Array;
}

/**
 * A device running the original MicroPython code, its faults included, without a socket or a clock: `now` is the
 * device's own time in whole seconds. After protocol.md sections 2 to 5 and 8, sharing no code with the codec.
 */
export interface V1Device {
  receive(datagram: Uint8Array, from: Endpoint, now: number): V1Received;
  /** The datagram as a device sends it; none, with a line in `log`, where the device refuses. */
  publish(publish: V1Publish, now: number): V1Sent;
  /** The datagrams go to the device's own address, where no other machine sees them. */
  subscribe(channel: string, now: number): V1Sent;
  unsubscribe(channel: string, now: number): V1Sent;
  pending(): ReadonlyMap<number, V1Pending>;
  readonly sessionId: number;
}

const RECEIVE_BUFFER = 2_048;
const MAX_NONCES = 100;
const NONCE_SECONDS = 30;
const RETAINED_SECONDS = 30;
/** The poll interval: one fully processed packet costs one. */
const SLEEP_MS = 100;

/** Makes a device that has just started. */
export function createV1Device(options: V1DeviceOptions): V1Device {
  const random = options.random ?? randomBytes;
  const state: State = {
    keys: { encryption: options.encryption, mac: options.mac },
    random,
    channels: new Map((options.channels ?? []).map((name) => [v1ChannelId(name).toString("hex"), name])),
    pending: new Map(),
    nonces: new Map(),
    retained: new Map(),
    session: { id: u32(random), since: Number.NaN },
  };
  return {
    receive: (datagram, from, now) => receive(state, datagram, { from: `${from.host}:${from.port}`, now }),
    publish: (message, now) => publish(state, message, now),
    subscribe: (channel, now) => subscribe(state, channel, now),
    unsubscribe: (channel, now) => unsubscribe(state, channel, now),
    pending: () => new Map([...state.pending].map(([id, { state: at }]) => [id, at])),
    get sessionId() {
      return state.session.id;
    },
  };
}

interface At {
  readonly from: string;
  readonly now: number;
}

function receive(state: State, datagram: Uint8Array, at: At): V1Received {
  const opened = openV1(Buffer.from(datagram.subarray(0, RECEIVE_BUFFER)), state.keys, at);
  if ("log" in opened) return { log: opened.log, sleepMs: opened.crashed ? SLEEP_MS : 0 };
  const channel = state.channels.get(Buffer.from(opened.frame.channelId).toString("hex"));
  if (channel === undefined) {
    return { log: [`WARNING: Missing channel in packet from ${at.from}`], sleepMs: 0 };
  }
  const done = handle(state, { frame: opened.frame, channel }, at);
  // Every refusal goes straight back to polling: no clean-up, no sleep.
  if (!done.processed) return { log: done.log, sleepMs: 0 };
  const { processed: _, ...result } = done;
  return { ...result, log: [...done.log, ...cleanUp(state, at.now)], sleepMs: SLEEP_MS };
}

interface Arrived {
  readonly frame: V1Frame;
  readonly channel: string;
}

type Handled = Omit<V1Received, "sleepMs"> & { readonly processed: boolean };

const ignored: Handled = { processed: true, log: [] };

function handle(state: State, arrived: Arrived, at: At): Handled {
  const { frame } = arrived;
  const exchange = state.pending.get(frame.packetId);
  switch (frame.type) {
    case TYPE.publish:
      return handlePublish(state, arrived, at);
    case TYPE.ack:
      state.pending.delete(frame.packetId);
      return ignored;
    case TYPE.heartbeat:
      return heartbeat(state, at);
    case TYPE.pubrec:
      if (exchange?.state !== "PUBLISH_SENT") return ignored;
      exchange.state = "PUBREL_SENT";
      return reply(state, frame, { type: TYPE.pubrel, name: "PUBREL", now: at.now });
    case TYPE.pubrel:
      if (exchange?.state !== "PUBREC_SENT") return ignored;
      state.pending.delete(frame.packetId);
      return reply(state, frame, { type: TYPE.pubcomp, name: "PUBCOMP", now: at.now });
    case TYPE.pubcomp:
      if (exchange?.state === "PUBREL_SENT") state.pending.delete(frame.packetId);
      return ignored;
    default:
      return ignored;
  }
}

function handlePublish(state: State, { frame, channel }: Arrived, at: At): Handled {
  const refuse = (line: string): Handled => ({ processed: false, log: [line] });
  const plain = Buffer.from(frame.plaintext);
  // Devices look for the message at 20 although they send it at 16.
  if (plain.length < 20) return refuse(`ERROR: Invalid payload from ${at.from}`);
  const end = 20 + plain.readUInt32BE(12);
  if (end > plain.length) return refuse(`ERROR: Invalid message length from ${at.from}`);
  const payload = new Uint8Array(plain.subarray(20, end));
  if (!isMicroPythonUtf8(payload)) return refuse(`ERROR: Invalid payload from ${at.from}`);
  if (!remember(state, plain.readUInt32BE(8), at.now)) return refuse("WARNING: Replay attack detected");
  const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(payload);
  const delivered = { channel, payload, text };
  const received = `INFO: Received on ${channel}: ${text}`;
  const answer = acknowledge(state, frame, at.now);
  return { ...answer, delivered, log: [received, ...answer.log] };
}

/** QoS 3 is delivered and answered by nothing. */
function acknowledge(state: State, frame: V1Frame, now: number): Handled {
  const qos = frame.flags & 3;
  if (qos === 1) return reply(state, frame, { type: TYPE.ack, name: "ACK", now });
  if (qos !== 2) return ignored;
  const [oldest] = state.pending.keys();
  if (state.pending.size >= MAX_PENDING && oldest !== undefined) state.pending.delete(oldest);
  state.pending.set(frame.packetId, { state: "PUBREC_SENT", expires: frame.timestamp + frame.ttl });
  return reply(state, frame, { type: TYPE.pubrec, name: "PUBREC", now });
}

/** False for a nonce that is known. Kept 30 s, at most 100, purged only here. */
function remember(state: State, nonce: number, now: number): boolean {
  if (state.nonces.has(nonce)) return false;
  for (const [known, since] of state.nonces) {
    if (now - since > NONCE_SECONDS || state.nonces.size >= MAX_NONCES) state.nonces.delete(known);
  }
  state.nonces.set(nonce, now);
  return true;
}

interface Answer {
  readonly type: number;
  readonly name: string;
  readonly now: number;
}

function reply(state: State, to: V1Frame, { type, name, now }: Answer): Handled {
  const plaintext = Buffer.alloc(4);
  plaintext.writeUInt32BE(to.packetId);
  const flags = type === TYPE.ack ? to.flags & 3 : 0;
  const datagram = seal(
    state,
    { type, flags, packetId: to.packetId, channelId: to.channelId, plaintext },
    now,
  );
  const suffix = type === TYPE.ack ? ` with QoS ${flags}` : "";
  const log = [`INFO: Sent ${name} for packet ID ${to.packetId}${suffix}`];
  return { processed: true, reply: { type, datagram }, log };
}

function heartbeat(state: State, at: At): Handled {
  const channelId = new Uint8Array(16);
  const packetId = u32(state.random);
  const frame = { type: TYPE.heartbeat, flags: 0, packetId, channelId, plaintext: new Uint8Array(0) };
  const datagram = seal(state, frame, at.now);
  return {
    processed: true,
    reply: { type: TYPE.heartbeat, datagram },
    log: [`INFO: Sent heartbeat to ${at.from}`],
  };
}

/**
 * Runs after a packet that was processed to the end. Once a retained datagram is older than 30 s it fails each
 * time, so nothing expires any more (protocol.md section 4).
 */
function cleanUp(state: State, now: number): readonly string[] {
  const all = [...state.retained.values()].flat();
  if (all.some(({ at }) => now - at > RETAINED_SECONDS)) {
    return [
      "WARNING: Possible replay attack",
      "ERROR: Unexpected error: 'NoneType' object has no attribute 'get'",
    ];
  }
  const expired = [...state.pending].filter(([, { expires }]) => expires < now);
  for (const [id] of expired) state.pending.delete(id);
  return expired.map(([id]) => `INFO: Removed expired message ${id}`);
}
