import { isValidChannel } from "@nomq/core";
import type { IConnectPacket } from "mqtt-packet";
import type { ProtocolVersion } from "./packets.ts";
import { decodeConnect, REASON } from "./packets.ts";
import { publishFault } from "./publish-fault.ts";

/**
 * Characters of a client id. It is part of many keys, which V8 hashes by their length alone beyond 16,383 characters.
 * NUL may stand in no string of MQTT (section 1.5.4).
 */
const MOST_CLIENT_ID = 1024;

/** A CONNECT that may go on to aedes, or the reason code of its refusal. */
export type Examined =
  | { readonly packet: IConnectPacket; readonly version: ProtocolVersion }
  | { readonly refused: string; readonly code: number; readonly version: ProtocolVersion };

/** Checks a CONNECT (MQTT 5.0 section 3.1.4) as far as aedes does not. */
export function examineConnect(frame: Buffer): Examined {
  const packet = decodeConnect(frame);
  if (packet === undefined) {
    const version = frame.includes("MQTT\x05") ? 5 : 4;
    return { refused: "connect-malformed", code: REASON.malformedPacket, version };
  }
  const version = packet.protocolVersion ?? 4;
  if (packet.clientId.length > MOST_CLIENT_ID || packet.clientId.includes("\0")) {
    return { refused: "client-id-invalid", code: REASON.clientIdentifierNotValid, version };
  }
  const fault = willFault(packet);
  return fault === undefined ? { packet, version } : { ...fault, version };
}

function willFault({
  will,
}: IConnectPacket): { readonly refused: string; readonly code: number } | undefined {
  if (will === undefined) return undefined;
  if (!isValidChannel(will.topic)) return { refused: "will-topic-invalid", code: REASON.topicNameInvalid };
  const { topic, payload, qos = 0, retain = false, properties } = will;
  const asPublish = { cmd: "publish" as const, topic, payload, qos, retain, dup: false };
  const fault = publishFault({ ...asPublish, ...(properties !== undefined && { properties }) });
  const delay: unknown = properties?.willDelayInterval;
  if (fault !== undefined || (delay !== undefined && typeof delay !== "number")) {
    return { refused: "connect-malformed", code: REASON.protocolError };
  }
  return undefined;
}
