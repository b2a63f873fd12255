/** The packet types of MQTT (MQTT 5.0 section 2.1.2): the high half of a frame's first byte. */
export const PACKET = {
  connect: 1,
  connack: 2,
  publish: 3,
  puback: 4,
  pubrec: 5,
  pubrel: 6,
  pubcomp: 7,
  subscribe: 8,
  suback: 9,
  unsubscribe: 10,
  unsuback: 11,
  pingreq: 12,
  pingresp: 13,
  disconnect: 14,
  auth: 15,
} as const;

/** Why a stream of bytes cannot be cut into frames. */
export type FrameFault = "length-malformed" | "too-large";

/** Cuts a stream of bytes into whole MQTT packets. */
export interface FrameCutter {
  /** Takes the next bytes; calls back for every packet they complete. After a fault it takes no more. */
  push(chunk: Buffer): FrameFault | undefined;
  /** Pieces of a packet that is not complete: each costs memory of its own, so they stay few. */
  pieces(): number;
}

/** Type, length of the fixed header and of the whole packet; undefined while bytes are missing. */
type Header = { readonly total: number } | FrameFault | undefined;

function headerOf(bytes: Buffer, from: number): Header {
  let remaining = 0;
  for (let at = 0; at < 4; at += 1) {
    const byte = bytes[from + 1 + at];
    if (byte === undefined) return undefined;
    remaining += (byte & 0x7f) * 128 ** at;
    if (byte < 0x80) return { total: 2 + at + remaining };
  }
  return "length-malformed";
}

/** So many pieces of a packet are kept as they came; then they are joined, since each costs more than its bytes. */
const MOST_PARTS = 64;

/** Joins pieces from the end until one is more than twice all that follow it, so that no byte is moved often. */
function joinTail(parts: Buffer[]): void {
  let from = parts.length;
  let size = 0;
  for (let part = parts[from - 1]; part !== undefined && (size === 0 || part.length <= 2 * size); ) {
    size += part.length;
    from -= 1;
    part = parts[from - 1];
  }
  parts.push(Buffer.concat(parts.splice(from)));
}

/** Makes a cutter. Larger packets than `limit()` bytes are told from their header, before they are kept. */
export function createFrameCutter(limit: () => number, frame: (bytes: Buffer) => void): FrameCutter {
  let parts: Buffer[] = [];
  let held = 0;
  /** Bytes needed before it is worth looking again. */
  let needed = 2;
  let fault: FrameFault | undefined;

  const cut = (bytes: Buffer): void => {
    let from = 0;
    while (from < bytes.length) {
      const header = headerOf(bytes, from);
      if (typeof header === "string") {
        fault = header;
        return;
      }
      if (header !== undefined && header.total > limit()) {
        fault = "too-large";
        return;
      }
      const total = header?.total ?? bytes.length - from + 1;
      if (from + total > bytes.length) {
        needed = total;
        break;
      }
      frame(bytes.subarray(from, from + total));
      from += total;
    }
    if (from < bytes.length) {
      parts = [from === 0 ? bytes : bytes.subarray(from)];
      held = bytes.length - from;
    }
  };

  return {
    push(chunk) {
      if (fault !== undefined) return fault;
      parts.push(chunk);
      held += chunk.length;
      if (held < needed) {
        if (parts.length >= MOST_PARTS) joinTail(parts);
        return undefined;
      }
      const bytes = parts.length === 1 ? chunk : Buffer.concat(parts);
      parts = [];
      held = 0;
      needed = 2;
      cut(bytes);
      return fault;
    },
    pieces: () => parts.length,
  };
}

/** The packet type of a frame. */
export function typeOf(frame: Buffer): number {
  return (frame[0] ?? 0) >> 4;
}

/** Where the variable header begins. */
function bodyAt(frame: Buffer): number {
  let at = 1;
  while (((frame[at] ?? 0) & 0x80) !== 0 && at < 4) at += 1;
  return at + 1;
}

/** The packet identifier that stands first in acknowledgements, SUBSCRIBE and SUBACK; 0 when it is missing. */
export function packetIdOf(frame: Buffer): number {
  const at = bodyAt(frame);
  return at + 2 <= frame.length ? frame.readUInt16BE(at) : 0;
}

/** The reason code of an MQTT 5 acknowledgement, 0 when it is left out (MQTT 5.0 section 3.4.2.1). */
export function reasonOf(frame: Buffer): number {
  return frame[bodyAt(frame) + 2] ?? 0;
}

/** What of a PUBLISH can be told without decoding it. */
export interface PublishHead {
  readonly qos: number;
  readonly dup: boolean;
  readonly retain: boolean;
  /** The topic's bytes. */
  readonly topic: Buffer;
  /** 0 at QoS 0. */
  readonly id: number;
}

/** Reads the head of a PUBLISH (MQTT 5.0 section 3.3); undefined when it is too short. */
export function publishHead(frame: Buffer): PublishHead | undefined {
  const flags = frame[0] ?? 0;
  const qos = (flags >> 1) & 3;
  const at = bodyAt(frame);
  if (at + 2 > frame.length) return undefined;
  const end = at + 2 + frame.readUInt16BE(at);
  if (end + (qos > 0 ? 2 : 0) > frame.length) return undefined;
  return {
    qos,
    dup: (flags & 8) !== 0,
    retain: (flags & 1) !== 0,
    topic: frame.subarray(at + 2, end),
    id: qos > 0 ? frame.readUInt16BE(end) : 0,
  };
}
