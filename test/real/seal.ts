import { createCipheriv, createDecipheriv, createHash, randomBytes } from "node:crypto";

/**
 * Makes and opens NoMQ v1 packets as the original device code does, written from the description of the wire alone
 * and on purpose without any code of ours: what is wrong in our codec must not be wrong here too.
 */
export interface GroupKey {
  readonly encryption: Buffer;
  readonly mac: Buffer;
}

export interface Outgoing {
  readonly type?: number;
  readonly flags?: number;
  readonly packetId?: number;
  readonly sessionId: number;
  readonly ttl?: number;
  readonly timestamp: number;
  readonly channel: string;
  /** Of a PUBLISH: its text. */
  readonly message?: string | Buffer;
  readonly nonce?: number;
  /** Of anything else: the plaintext, default the packet id. */
  readonly plaintext?: Buffer;
}

export interface Opened {
  readonly type: number;
  readonly flags: number;
  readonly packetId: number;
  readonly sessionId: number;
  readonly ttl: number;
  readonly timestamp: number;
  readonly channelId: string;
  readonly plaintext: Buffer;
  /** Of a PUBLISH as a device reads it: the message stands at 20. */
  readonly nonce: number;
  readonly message: string;
}

export const PUBLISH = 1;
export const ACK = 3;
export const PUBREC = 6;
export const PUBREL = 7;
export const PUBCOMP = 8;
/** Seconds between the epochs 1970 and 2000. */
export const EPOCH_2000 = 946_684_800;

export const unixSeconds = (): number => Math.floor(Date.now() / 1000);
export const randomId = (): number => randomBytes(4).readUInt32BE();
export const channelId = (channel: string): Buffer =>
  createHash("sha256").update(channel, "utf8").digest().subarray(0, 16);

/** One datagram in the dialect of the original device code, stamped and sealed now. */
export function seal(key: GroupKey, packet: Outgoing): Buffer {
  const packetId = packet.packetId ?? randomId();
  const iv = randomBytes(16);
  const cipher = createCipheriv("aes-256-cbc", key.encryption, iv);
  const payload = Buffer.concat([iv, cipher.update(plaintextOf(packet, packetId)), cipher.final()]);

  const header = Buffer.alloc(53);
  header.write("NM", 0, "latin1");
  header.writeUInt8(1, 2);
  header.writeUInt8(packet.type ?? PUBLISH, 3);
  header.writeUInt8(packet.flags ?? 0, 4);
  header.writeUInt32BE(packetId, 5);
  header.writeUInt32BE(packet.sessionId, 9);
  header.writeUInt16BE(packet.ttl ?? 3600, 13);
  iv.copy(header, 15);
  header.writeUInt32BE(packet.timestamp, 31);
  channelId(packet.channel).copy(header, 35);
  header.writeUInt16BE(payload.length, 51);

  const body = Buffer.concat([header, payload]);
  return Buffer.concat([body, createHash("sha256").update(body).update(key.mac).digest()]);
}

/** Reads a datagram as a device does; undefined when its MAC is not ours. */
export function open(key: GroupKey, datagram: Buffer): Opened | undefined {
  const body = datagram.subarray(0, datagram.length - 32);
  const mac = createHash("sha256").update(body).update(key.mac).digest();
  if (datagram.length < 117 || !mac.equals(datagram.subarray(datagram.length - 32))) return undefined;
  const cipher = createDecipheriv("aes-256-cbc", key.encryption, body.subarray(53, 69));
  const plaintext = Buffer.concat([cipher.update(body.subarray(69)), cipher.final()]);
  const isPublish = body.readUInt8(3) === PUBLISH;
  return {
    type: body.readUInt8(3),
    flags: body.readUInt8(4),
    packetId: body.readUInt32BE(5),
    sessionId: body.readUInt32BE(9),
    ttl: body.readUInt16BE(13),
    timestamp: body.readUInt32BE(31),
    channelId: body.subarray(35, 51).toString("hex"),
    plaintext,
    nonce: isPublish ? plaintext.readUInt32BE(8) : 0,
    message: isPublish ? plaintext.subarray(20, 20 + plaintext.readUInt32BE(12)).toString("utf8") : "",
  };
}

function plaintextOf(packet: Outgoing, packetId: number): Buffer {
  if ((packet.type ?? PUBLISH) !== PUBLISH) {
    const id = Buffer.alloc(4);
    id.writeUInt32BE(packetId);
    return packet.plaintext ?? id;
  }
  const message = Buffer.from(packet.message ?? "");
  const head = Buffer.alloc(16);
  head.writeBigUInt64BE(BigInt(packet.timestamp), 0);
  head.writeUInt32BE(packet.nonce ?? randomId(), 8);
  head.writeUInt32BE(message.length, 12);
  return Buffer.concat([head, message]);
}
