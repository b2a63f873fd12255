import { createCipheriv, createDecipheriv, createHash } from "node:crypto";

// Read and written from protocol.md alone, and shared with no other code: tests that compare our codec with
// this one must not compare it with itself. Straightforward rather than fast.

/** Both halves of a v1 device's key, 32 bytes each. */
export interface V1Keys {
  readonly encryption: Uint8Array;
  readonly mac: Uint8Array;
}

/** A packet as its fields, plaintext not yet understood. */
export interface V1Frame {
  /** 1 to 8 on anything a device sends. */
  readonly type: number;
  readonly flags: number;
  readonly packetId: number;
  readonly sessionId: number;
  readonly ttl: number;
  readonly iv: Uint8Array;
  /** Seconds of the sender's clock. */
  readonly timestamp: number;
  readonly channelId: Uint8Array;
  readonly plaintext: Uint8Array;
}

/** A channel's 16-byte name on the wire. */
export function v1ChannelId(channel: string): Buffer {
  return createHash("sha256").update(channel, "utf8").digest().subarray(0, 16);
}

/** Seals a frame as the device code does: the IV twice, SHA-256 with the key at the end. */
export function sealV1(frame: V1Frame, keys: V1Keys): Buffer {
  const cipher = createCipheriv("aes-256-cbc", keys.encryption, frame.iv);
  const payload = Buffer.concat([frame.iv, cipher.update(frame.plaintext), cipher.final()]);
  const header = Buffer.alloc(53);
  header.write("NM", 0, "latin1");
  header.writeUInt8(1, 2);
  header.writeUInt8(frame.type, 3);
  header.writeUInt8(frame.flags, 4);
  header.writeUInt32BE(frame.packetId, 5);
  header.writeUInt32BE(frame.sessionId, 9);
  header.writeUInt16BE(frame.ttl, 13);
  header.set(frame.iv, 15);
  header.writeUInt32BE(frame.timestamp, 31);
  header.set(frame.channelId, 35);
  header.writeUInt16BE(payload.length, 51);
  return Buffer.concat([header, payload, v1Mac(Buffer.concat([header, payload]), keys)]);
}

/** What a device finds out about a datagram: a frame, or the lines it logs. */
export type V1Opened =
  | { readonly frame: V1Frame }
  | { readonly log: readonly string[]; readonly crashed: boolean };

const WINDOW_SECONDS = 30;

/** Steps 2 and 3 of the receive pipeline (protocol.md section 3), in the device's order. */
export function openV1(datagram: Buffer, keys: V1Keys, at: { now: number; from: string }): V1Opened {
  const refuse = (line: string): V1Opened => ({
    log: [line, `ERROR: Packet parsing failed from ${at.from}`],
    crashed: false,
  });
  if (datagram.length < 85) return refuse("WARNING: Packet too short");
  if (datagram.toString("latin1", 0, 2) !== "NM") return refuse("WARNING: Invalid magic number");
  if (datagram.readUInt8(2) !== 1) return refuse("WARNING: Unsupported protocol version");
  const timestamp = datagram.readUInt32BE(31);
  if (Math.abs(at.now - timestamp) > WINDOW_SECONDS) return refuse("WARNING: Possible replay attack");
  const length = datagram.readUInt16BE(51);
  if (datagram.length < 53 + length + 32) return refuse("WARNING: Invalid packet length");
  const mac = v1Mac(datagram.subarray(0, 53 + length), keys);
  if (!mac.equals(datagram.subarray(53 + length))) return refuse("WARNING: HMAC verification failed");
  if (length < 16) return refuse("ERROR: Packet parsing error: IV");
  if (length === 16) return { log: ["ERROR: Unexpected error: bytes index out of range"], crashed: true };
  if (length % 16 !== 0) return refuse("ERROR: Packet parsing error: blksize % 16");
  const plaintext = decrypt(datagram.subarray(53, 53 + length), keys);
  if (plaintext === undefined) return refuse("WARNING: Invalid padding");
  return { frame: frameOf(datagram, plaintext) };
}

function frameOf(datagram: Buffer, plaintext: Buffer): V1Frame {
  return {
    type: datagram.readUInt8(3),
    flags: datagram.readUInt8(4),
    packetId: datagram.readUInt32BE(5),
    sessionId: datagram.readUInt32BE(9),
    ttl: datagram.readUInt16BE(13),
    iv: datagram.subarray(15, 31),
    timestamp: datagram.readUInt32BE(31),
    channelId: datagram.subarray(35, 51),
    plaintext,
  };
}

function v1Mac(data: Uint8Array, keys: V1Keys): Buffer {
  return createHash("sha256").update(data).update(keys.mac).digest();
}

/** Decrypts with the IV in the payload; the header's is never compared. */
function decrypt(payload: Buffer, keys: V1Keys): Buffer | undefined {
  const decipher = createDecipheriv("aes-256-cbc", keys.encryption, payload.subarray(0, 16));
  try {
    return Buffer.concat([decipher.update(payload.subarray(16)), decipher.final()]);
  } catch {
    return undefined;
  }
}

/**
 * MicroPython's idea of UTF-8: lead bytes and their continuations must match, but surrogates and overlong forms
 * pass (protocol.md section 0).
 */
export function isMicroPythonUtf8(bytes: Uint8Array): boolean {
  let missing = 0;
  for (const byte of bytes) {
    if (missing > 0) {
      if ((byte & 0xc0) !== 0x80) return false;
      missing -= 1;
    } else if (byte >= 0x80) {
      if (byte < 0xc0 || byte >= 0xf8) return false;
      missing = byte >= 0xf0 ? 3 : byte >= 0xe0 ? 2 : 1;
    }
  }
  return missing === 0;
}
