import type { IConnectPacket, Packet } from "mqtt-packet";
import { generate, parser } from "mqtt-packet";

/** The protocol levels taken: 3.1, 3.1.1 and 5. */
export type ProtocolVersion = 3 | 4 | 5;

/** Reason codes used here (MQTT 5.0 section 2.4). */
export const REASON = {
  success: 0x00,
  noMatchingSubscribers: 0x10,
  unspecified: 0x80,
  malformedPacket: 0x81,
  protocolError: 0x82,
  implementationSpecific: 0x83,
  unsupportedProtocolVersion: 0x84,
  clientIdentifierNotValid: 0x85,
  badUserNameOrPassword: 0x86,
  notAuthorized: 0x87,
  serverUnavailable: 0x88,
  serverShuttingDown: 0x8b,
  keepAliveTimeout: 0x8d,
  topicFilterInvalid: 0x8f,
  topicNameInvalid: 0x90,
  receiveMaximumExceeded: 0x93,
  packetTooLarge: 0x95,
  quotaExceeded: 0x97,
  sharedSubscriptionsNotSupported: 0x9e,
  connectionRateExceeded: 0x9f,
} as const;

/** What is answered to a publish at QoS 1 or 2. */
export interface Verdict {
  readonly code: number;
  readonly reason?: string;
  /** The message was taken: only `ack: delivered` was not reached. */
  readonly isLate?: true;
}

/** Decodes one whole frame; undefined when it is not what the protocol allows. Never throws. */
export function decodePacket(frame: Buffer, protocolVersion: ProtocolVersion): Packet | undefined {
  let packet: Packet | undefined;
  try {
    const decoder = parser({ protocolVersion });
    decoder.on("packet", (one) => {
      packet ??= one;
    });
    let failed = false;
    decoder.on("error", () => {
      failed = true;
    });
    decoder.parse(frame);
    return failed ? undefined : packet;
  } catch {
    return undefined;
  }
}

/** Decodes a CONNECT; the level in it decides how. */
export function decodeConnect(frame: Buffer): IConnectPacket | undefined {
  const packet = decodePacket(frame, 4);
  return packet?.cmd === "connect" ? packet : undefined;
}

/** Encodes a packet; undefined when the encoder refuses a field. Never throws. */
export function encodePacket(packet: Packet, protocolVersion: ProtocolVersion): Buffer | undefined {
  try {
    return generate(packet, { protocolVersion });
  } catch {
    return undefined;
  }
}

/** PUBACK or PUBREC with the verdict; the reason string only where the client wants it (section 3.1.2.11.7). */
export function acknowledgement(
  cmd: "puback" | "pubrec",
  messageId: number,
  answer: { readonly verdict: Verdict; readonly version: ProtocolVersion; readonly withReason: boolean },
): Buffer {
  const { code, reason } = answer.verdict;
  const plain = Buffer.from([cmd === "puback" ? 0x40 : 0x50, 2, messageId >> 8, messageId & 0xff]);
  if (answer.version !== 5 || code === REASON.success) return plain;
  const properties =
    answer.withReason && reason !== undefined ? { properties: { reasonString: reason } } : {};
  return encodePacket({ cmd, messageId, reasonCode: code, ...properties }, 5) ?? plain;
}

/** A CONNACK that refuses (MQTT 5.0 section 3.2.2.2; 3.1.1 section 3.2.2.3). */
export function refusingConnack(version: ProtocolVersion, code: number): Buffer {
  if (version === 5) return Buffer.from([0x20, 3, 0, code, 0]);
  return Buffer.from([0x20, 2, 0, RETURN_CODES[code] ?? 3]);
}

/** DISCONNECT from the server (MQTT 5.0 section 3.14). */
export function disconnectFrame(code: number): Buffer {
  return Buffer.from([0xe0, 2, code, 0]);
}

/** 3.1.1 return codes for the reason codes that have one; all else is "server unavailable". */
const RETURN_CODES: Readonly<Record<number, number>> = {
  [REASON.unsupportedProtocolVersion]: 1,
  [REASON.malformedPacket]: 1,
  [REASON.clientIdentifierNotValid]: 2,
  [REASON.badUserNameOrPassword]: 4,
  [REASON.notAuthorized]: 5,
  [REASON.topicNameInvalid]: 5,
};
