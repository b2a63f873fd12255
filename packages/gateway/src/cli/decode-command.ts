import {
  createKeyRing,
  type DecodeResult,
  decodePacket,
  isMarked,
  isNoChannelId,
  type Packet,
  type PacketHeader,
  peekHeader,
  readPublishFlags,
  readSubscribePriority,
} from "@nomq/core";
import { payloadJson } from "../api/message-json.ts";
import { bytesOfKey, readKeyFile } from "../keys.ts";
import { readStdin } from "./stdin.ts";
import { UsageError } from "./usage-error.ts";

/** Options of `nomq decode`. */
export interface DecodeOptions {
  readonly key?: string;
  readonly json?: boolean;
}

/** `nomq decode`: 0 for an authentic packet (or, without a key, a well-formed header), else 1. */
export async function runDecode(given: string, { key, json = false }: DecodeOptions): Promise<number> {
  const text = (given === "-" ? (await readStdin()).toString("latin1") : given).replaceAll(/[\s:]/g, "");
  if (!/^([0-9a-fA-F]{2})+$/.test(text)) throw new UsageError("expected the packet's bytes in hexadecimal");
  const datagram = Buffer.from(text, "hex");
  const ring = createKeyRing(key === undefined ? [] : [bytesOfKey(readKeyFile(key))]);
  const result = decodePacket(datagram, ring);
  const sealed = key === undefined && !result.ok && result.reason === "bad-mac";
  const fields = { ...verdict(result, sealed), bytes: datagram.length, ...fieldsOf(datagram, result) };
  process.stdout.write(json ? `${JSON.stringify(fields)}\n` : table(fields));
  return result.ok || sealed ? 0 : 1;
}

type Fields = Readonly<Record<string, string | number | boolean>>;

function verdict(result: DecodeResult, sealed: boolean): Fields {
  if (result.ok) return { verdict: "accepted", key: result.key.id, dialect: result.dialect };
  if (sealed)
    return { verdict: "sealed", why: "give --key to check and open it; the header alone proves nothing" };
  return { verdict: "refused", reason: result.reason, why: result.detail };
}

function fieldsOf(datagram: Uint8Array, result: DecodeResult): Fields {
  if (result.ok) return { ...headerFields(result.packet.type, result.packet), ...bodyFields(result.packet) };
  const header = peekHeader(datagram);
  if (header === undefined) return {};
  return { ...headerFields(header.type, header), payloadLength: header.payloadLength };
}

function headerFields(type: Packet["type"], header: PacketHeader): Fields {
  const { flags, packetId, sessionId, ttl, timestamp, channelId } = header;
  return {
    type,
    flags: `0x${hex(flags, 2)}`,
    ...(type === "PUBLISH" ? { ...readPublishFlags(flags) } : {}),
    ...(type === "SUBSCRIBE" ? { priority: readSubscribePriority(flags) } : {}),
    sender: isMarked(type, flags) ? "node" : "device",
    packetId: hex(packetId, 8),
    sessionId: hex(sessionId, 8),
    ttl,
    timestamp,
    clock: clocks(timestamp),
    channelId: isNoChannelId(channelId) ? "none" : Buffer.from(channelId).toString("hex"),
  };
}

function bodyFields(packet: Packet): Fields {
  switch (packet.type) {
    case "PUBLISH":
      return {
        nonce: hex(packet.nonce, 8),
        innerTimestamp: packet.innerTimestamp.toString(),
        layout: packet.layout,
        ...payloadJson(packet.message),
      };
    case "SUBSCRIBE":
    case "UNSUBSCRIBE":
      return { channel: packet.channel };
    case "ACK":
    case "PUBREC":
    case "PUBREL":
    case "PUBCOMP":
      return { acknowledged: hex(packet.acknowledged, 8) };
    case "HEARTBEAT":
      return {};
  }
}

const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, "0");

/** Boards count from 1970 or from 2000 (protocol.md section 7). */
function clocks(timestamp: number): string {
  const say = (seconds: number): string => new Date(seconds * 1_000).toISOString().replace(".000Z", "Z");
  return `${say(timestamp)} (epoch 1970) or ${say(timestamp + SECONDS_1970_TO_2000)} (epoch 2000)`;
}

const SECONDS_1970_TO_2000 = 946_684_800;

function table(fields: Fields): string {
  const width = Math.max(...Object.keys(fields).map((name) => name.length));
  return Object.entries(fields)
    .map(([name, value]) => `${name.padEnd(width)}  ${typeof value === "string" ? shown(value) : value}\n`)
    .join("");
}

// A message is shown on one line and cannot drive the terminal.
const shown = (text: string): string => (/[\p{Cc}\u2028\u2029]/u.test(text) ? JSON.stringify(text) : text);
